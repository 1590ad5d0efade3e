"""A command in a process of its own, which ends, or finds the disk full, in the middle of it."""

from __future__ import annotations

import json
import resource
import signal
import sys
import threading
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, event

from tests.faults.moments import end_at
from training_db.cli import main as training_db


class Work:
    """What a command does from its first connection on, so that moments lie in its real work."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told
        self._began = 0.0
        self.calls = 0

    def watch(self) -> None:
        event.listen(Engine, "do_connect", lambda *_: self._begin())
        sys.addaudithook(lambda name, _: self._begin() if name == "sqlite3.connect" else None)

    def _begin(self) -> None:
        if self._began:
            return
        self._began = perf_counter()
        print("at work", flush=True)  # noqa: T201 - the test waits for it
        if "end_at" in self._told:
            end_at(0, self._told["end_at"], here=True)
        elif self._told.get("counts"):
            threading.setprofile(self._count)
            sys.setprofile(self._count)
        if "room" in self._told:
            sys.dont_write_bytecode = True
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write that goes too far fails
            _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (self._told["room"], most))

    def _count(self, _frame: object, what: str, _argument: object) -> None:
        self.calls += what in ("call", "c_call")

    def tell(self) -> None:
        sys.setprofile(None)
        threading.setprofile(None)
        seconds = perf_counter() - self._began
        print(json.dumps({"calls": self.calls, "seconds": seconds}), flush=True)  # noqa: T201


def main(orders: str) -> None:
    told = json.loads(orders)
    work = Work(told)
    work.watch()
    sys.argv = ["training-db", *told["arguments"]]
    try:
        training_db()
    finally:
        work.tell()


if __name__ == "__main__":
    main(*sys.argv[1:])
