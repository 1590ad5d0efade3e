"""A training whose disk is full for a while: no file of its process can grow."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path

from tests.faults.training import Acknowledged, say
from training_db import TrainingDB

ROWS = 50


def main(orders: str) -> None:
    told = json.loads(orders)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write that would go too far fails instead
    recorder = TrainingDB(told["url"]).recorder("run", flush_seconds=told["flush_seconds"])
    training = Acknowledged(recorder, told["acks"])
    log(training)
    say(rows=training.logged)
    sys.stdin.readline()
    sys.dont_write_bytecode = True  # what is cut off there would fail the next process
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(path.stat().st_size for path in spool_files())
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, most))
    for _ in range(4):
        log(training)
    say(rows=training.logged)
    sys.stdin.readline()
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    log(training)
    recorder.close()


def log(training: Acknowledged) -> None:
    for _ in range(ROWS):
        training.log()


def spool_files() -> list[Path]:
    folder = Path(os.environ["TRAINING_DB_SPOOL_DIR"])
    return [path for path in folder.rglob("*") if path.is_file()]


if __name__ == "__main__":
    main(*sys.argv[1:])
