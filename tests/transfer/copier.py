"""A copy in a process of its own, which may be killed at a moment that it is told."""

from __future__ import annotations

import json
import re
import resource
import signal
import sys
from pathlib import Path

from tests.faults.moments import end_at
from training_db.errors import TrainingDBError
from training_db.transfer.copying import copy_database, filling


def main(orders: str) -> None:
    told = json.loads(orders)
    if "largest_file" in told:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write that would go too far fails instead
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (told["largest_file"], most))
    filling._FEW = told.get("few", filling._FEW)
    say("ready")
    sys.stdin.readline()
    if "end_at" in told:
        end_at(*told["end_at"], here=True)
    before = most_held()
    try:
        report = copy_database(told["source"], told["target"], merge=told.get("merge"))
    except TrainingDBError as error:
        say(error=type(error).__name__, message=str(error))
    else:
        held = most_held() - before
        say(ok=report.ok, resumed=report.resumed, runs=report.copied_runs, kilobytes=held)


def most_held() -> int:
    """Return the most memory that this process has held, in kilobytes.

    What getrusage tells begins with the memory of the process that started this one.
    """
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(kilobytes)


def say(*words: str, **facts: object) -> None:
    print(*words, json.dumps(facts) if facts else "", flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(*sys.argv[1:])
