"""PostgreSQL's own programs: found, of the right version, and run on our tables alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess  # nosec  # programs of PostgreSQL
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from sqlalchemy import inspect

from training_db.db.engine import libpq_environment, open_engine, translated
from training_db.db.shapes import SHAPES
from training_db.db.version import VERSION_TABLE
from training_db.errors import ConfigurationError, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import URL, Connection

MAGIC = b"PGDMP"
"""How an archive of ``pg_dump`` begins."""

OURS = (*SHAPES, VERSION_TABLE, "training_db_backfill", "training_db_copy")
"""Our tables, with those that a script or a copy which is not done yet leaves."""
_FOLDERS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "Library/PostgreSQL/*/bin",
)
"""Where packages put the versions that are not on the path."""
_MAJOR = 10_000  # of a server's version, as it says it itself
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)")
_ENTRY = re.compile(r"\d+; \d+ \d+ (.+)")
# What an archive holds of tables; and of it, what is restored. The rest is other people's.
_RESTORED = (
    "TABLE ", "SEQUENCE ", "DEFAULT ", "CONSTRAINT ", "CHECK CONSTRAINT ", "FK CONSTRAINT ",
    "INDEX ",
)  # fmt: skip
_RUNS = re.compile(r"; \d+ \d+ TABLE DATA \S+ training_runs ")
_FUNCTION = re.compile(r"FUNCTION (\"[^\"]*\"|\S+) training_db_document\(text\) ")
_OTHERS = """
    WITH ours AS (
        SELECT to_regclass(name)::oid AS oid FROM unnest(%(ours)s::text[]) name
    ), belonging AS (
        SELECT oid FROM ours
        UNION SELECT objid FROM pg_depend
            WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass
            AND refobjid IN (SELECT oid FROM ours) AND deptype IN ('a', 'i')
        UNION SELECT oid FROM pg_class
            WHERE relispartition AND pg_partition_root(oid) IN (SELECT oid FROM ours)
    )
    SELECT nspname, relname,
        relnamespace IN (SELECT relnamespace FROM pg_class WHERE oid IN (SELECT oid FROM ours))
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND nspname !~ '^pg_'
        AND nspname <> 'information_schema'
        AND pg_class.oid NOT IN (SELECT oid FROM belonging WHERE oid IS NOT NULL)
"""
_SCHEMAS = """
    SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
        AND oid NOT IN (SELECT relnamespace FROM pg_class WHERE oid IN (
            SELECT to_regclass(name)::oid FROM unnest(%(ours)s::text[]) name))
"""

_DROP_TABLES = """
    SELECT 'DROP TABLE ' || string_agg(format('%%I.%%I', nspname, relname), ', ')
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid IN (SELECT to_regclass(name)::oid FROM unnest(%(ours)s::text[]) name)
"""
_DROP_FUNCTION = "DROP FUNCTION IF EXISTS training_db_document(text)"

# What others may do with our tables, which goes with the tables; an older archive has fewer.
_GRANTS = """
    WITH ours AS (
        SELECT to_regclass(name)::oid AS oid FROM unnest(%(ours)s::text[]) name
    )
    SELECT format('DO %%L', format(
        'BEGIN GRANT %%s ON %%s %%I.%%I TO %%s; EXCEPTION WHEN undefined_table THEN NULL; END',
        privilege_type, CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, nspname, relname,
        CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END))
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace, aclexplode(relacl)
    WHERE grantee <> relowner AND pg_class.oid IN (
        SELECT oid FROM ours UNION SELECT objid FROM pg_depend
        WHERE refobjid IN (SELECT oid FROM ours) AND deptype = 'a')
"""


def dump(url: URL, target: Path) -> None:
    """Write our tables of a PostgreSQL database, as they are at one moment, to an archive.

    Args:
        url: The database.
        target: The file, which is there.

    Raises:
        ConfigurationError: There is no ``pg_dump`` that can read this server.
        DatabaseError: It failed.
    """
    with _asked(url) as (_, driver):
        ours = {"ours": list(OURS)}
        others = driver.execute(_OTHERS, ours).fetchall()
        schemas = [name for (name,) in driver.execute(_SCHEMAS, ours)]
        major = driver.info.server_version // _MAJOR
    program = find("pg_dump", major)
    left_out = [f"--exclude-schema={_pattern(name)}" for name in schemas]
    left_out += [
        f"--exclude-table={_pattern(schema)}.{_pattern(name)}"
        for schema, name, is_beside_ours in others
        if is_beside_ours
    ]
    words = ["--format=custom", "--no-blobs", "--no-publications", "--no-subscriptions"]
    words.append("--no-password")  # nobody is there to be asked
    _run([program, *words, f"--file={target}", *left_out], libpq_environment(url))


def load(url: URL, archive: Path, contents: Path, *, replace: bool) -> None:
    """Put the tables of an archive into a PostgreSQL database, in one transaction.

    Args:
        url: The database.
        archive: What :func:`dump` wrote.
        contents: A file that may be written to meanwhile.
        replace: Whether our tables that are there are dropped first.

    Raises:
        ConfigurationError: There is no ``pg_restore`` or ``psql`` for this server.
        DatabaseError: It failed; the database is as it was.
    """
    with _asked(url) as (_, driver):
        ours = {"ours": list(OURS)}
        major = driver.info.server_version // _MAJOR
        (drop,) = driver.execute(_DROP_TABLES, ours).fetchone()
        grants = [grant for (grant,) in driver.execute(_GRANTS, ours)]
    program, client = find("pg_restore", major), find("psql", major)
    listed = _run([program, "--list", str(archive)])
    contents.write_text("\n".join(_chosen(listed)), encoding="utf-8")
    words = ["--no-owner", "--no-privileges", f"--use-list={contents}", "--file=-"]
    # An older archive has fewer tables than are there: it does not say what has to be dropped.
    drops = [drop, _DROP_FUNCTION] if replace and drop else []
    _play([program, *words, str(archive)], client, libpq_environment(url), drops, grants)
    with _asked(url) as (connection, driver):
        there = set(inspect(connection).get_table_names())
        driver.execute(f"ANALYZE {', '.join(name for name in OURS if name in there)}")


def version_in(archive: Path) -> tuple[str | None, bool]:
    """Read an archive to its end, and say what is in it.

    Args:
        archive: A file.

    Returns:
        The version of the schema, ``None`` where it has none; and whether there are runs.

    Raises:
        ConfigurationError: There is no ``pg_restore`` here.
        DatabaseError: It is damaged.
    """
    program = find("pg_restore", 0)
    _run([program, "--file", os.devnull, str(archive)])
    has_runs = bool(_RUNS.search(_run([program, "--list", str(archive)])))
    wanted = ["--data-only", f"--table={VERSION_TABLE}", "--file=-"]
    text = _run([program, *wanted, str(archive)])
    _, found, rows = text.partition(f"{VERSION_TABLE} (version_num) FROM stdin;\n")
    return rows.partition("\n")[0] if found else None, has_runs


def find(name: str, at_least: int) -> str:
    """Find a program of PostgreSQL: the oldest that is not older than the server.

    Args:
        name: Such as ``"pg_dump"``.
        at_least: The major version of the server; 0 takes the newest program.

    Raises:
        ConfigurationError: There is none.
    """
    found: dict[int, str] = {}
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    for pattern in _FOLDERS:
        folders += map(str, sorted(Path("/").glob(pattern)))
    for folder in folders:
        program = shutil.which(name, path=folder)
        version = _version_of(program) if program else None
        if program and version:
            found.setdefault(version, program)
    fitting = [version for version in found if version >= at_least]
    if fitting:
        return found[min(fitting) if at_least else max(fitting)]
    there = (
        f"the server is PostgreSQL {at_least}, and the newest {name} here is of {max(found)}"
        if found
        else f"there is no {name} here"
    )
    package = f"postgresql-client-{at_least}" if at_least else "postgresql-client"
    raise ConfigurationError(
        f"{there}; install the package {package}, or take a SQLite file as the backup: "
        "training-db copy URL FILE"
    )


def _version_of(program: str) -> int | None:
    """Return a program's major version; ``None`` of one that does not run.

    Debian's stands in for all versions, and fails where none of them is installed.
    """
    try:
        said = _VERSION.search(_run([program, "--version"]))
    except (DatabaseError, OSError):
        return None
    return int(said[1]) if said else None


@contextmanager
def _asked(url: URL) -> Iterator[tuple[Connection, Any]]:
    """Yield a connection in a transaction, and the driver's own."""
    engine = open_engine(url)
    try:
        with engine.begin() as connection:
            driver: Any = connection.connection.driver_connection
            try:
                yield connection, driver
            except engine.dialect.loaded_dbapi.Error as error:
                raise translated(error) from error
    finally:
        engine.dispose()


def _chosen(contents: str) -> Iterable[str]:
    """Yield the lines of a table of contents that are restored."""
    for line in contents.splitlines():
        entry = _ENTRY.match(line)
        if entry and (entry[1].startswith(_RESTORED) or _FUNCTION.match(entry[1])):
            yield line


def _pattern(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _play(
    script: Sequence[str],
    client: str,
    environment: Mapping[str, str],
    before: Iterable[str],
    after: Iterable[str],
) -> None:
    """Run the SQL that a program prints, between other statements, in one transaction.

    The end of it is said only once all was printed: whoever is killed on the way changes nothing.
    """
    words = [client, "--no-psqlrc", "--no-password", "--quiet", "--set=ON_ERROR_STOP=1"]
    printed = 0
    with TemporaryFile() as of_client, TemporaryFile() as of_script:
        running = subprocess.Popen(  # nosec  # noqa: S603 - a program of PostgreSQL, and no shell
            words, env=_variables(environment), stdin=subprocess.PIPE, stdout=of_client,
            stderr=of_client,
        )  # fmt: skip
        with suppress(BrokenPipeError), running:  # it has said why, then
            entry: Any = running.stdin
            entry.write(_statements(["BEGIN", *before]))
            entry.flush()
            printed = subprocess.run(  # nosec  # noqa: S603 - likewise
                script, env=_variables({}), stdout=entry, stderr=of_script, check=False
            ).returncode
            if not printed:
                entry.write(_statements([*after, "COMMIT"]))
        if running.returncode:
            raise _failed(client, of_client)
        if printed:
            raise _failed(script[0], of_script)


def _statements(texts: Iterable[str]) -> bytes:
    return "".join(f"{text};\n" for text in texts).encode()


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a program and return what it printed; passwords go by the environment alone."""
    with TemporaryFile() as told:
        done = subprocess.run(  # nosec  # noqa: S603 - a program of PostgreSQL, and no shell
            command, env=_variables(environment or {}), stdout=subprocess.PIPE, stderr=told,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode:
            raise _failed(command[0], told)
    return done.stdout.decode(errors="replace")


def _variables(more: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **more, "LC_ALL": "C.UTF-8", "PGCLIENTENCODING": "UTF8"}


def _failed(program: str, told: IO[bytes]) -> DatabaseError:
    told.seek(0)
    said = " ".join(told.read().decode(errors="replace").split()) or "it said nothing"
    return DatabaseError(f"{Path(program).name} failed: {said}")
