"""A disk of a few megabytes for the databases of a PostgreSQL server, which can be filled up."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import make_url

from tests.faults.contents import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

_BYTES = 100_000_000


class SmallDisk:
    """A disk in memory, on which a server keeps databases that were moved there.

    Args:
        folder: Where it is mounted.
        url: A database of the server.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self._url = folder, url
        self.name = f"small_{uuid4().hex[:12]}"

    def run(self, statement: str, *names: str) -> None:
        with psycopg.connect(plain(self._url, "postgres"), autocommit=True) as session:
            session.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))  # type: ignore[arg-type]

    def move(self, url: str) -> None:
        """Move a database there that nobody is connected to."""
        name = str(make_url(url).database)
        self.run("ALTER DATABASE {} SET TABLESPACE {}", name, self.name)

    @contextmanager
    def full(self, room: int) -> Iterator[None]:
        """Leave so many bytes of room for the length of a block."""
        ballast = self.folder / "ballast"
        state = os.statvfs(self.folder)
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, state.f_bavail * state.f_frsize - room)
        yield
        ballast.unlink()


@contextmanager
def small_disk(url: str) -> Iterator[SmallDisk]:
    """Mount a small disk, and give it to the server of a database; only root can."""
    with psycopg.connect(plain(url), autocommit=True) as session:
        [place] = session.execute("SHOW data_directory").fetchone() or [""]
    if os.geteuid() != 0 or not Path(place).exists():
        pytest.skip("to mount a small disk for the server takes root, on the server's machine")
    with tempfile.TemporaryDirectory(prefix="training-db-disk-") as name:
        folder = Path(name)
        if not _is_done("mount", "-t", "tmpfs", "-o", f"size={_BYTES}", "tmpfs", name):
            pytest.skip("this machine lets nobody mount a disk")
        try:
            owner = Path(place).stat()
            space = folder / "space"
            space.mkdir()
            for path in (folder, space):
                os.chown(path, owner.st_uid, owner.st_gid)
            disk = SmallDisk(folder, url)
            disk.run(f"CREATE TABLESPACE {{}} LOCATION '{space}'", disk.name)
            yield disk
        finally:
            _is_done("umount", "--lazy", name)


def _is_done(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
