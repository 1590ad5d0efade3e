"""The databases that MLflow writes, of any version: opened to read and asked what they have."""

from __future__ import annotations

import os
import sqlite3
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import (
    NullPool,
    column,
    create_engine,
    event,
    func,
    inspect,
    make_url,
    select,
    table,
)
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    NoSuchModuleError,
    NoSuchTableError,
    SQLAlchemyError,
)

from training_db.db.engine import CONNECT_SECONDS
from training_db.errors import MissingExtra, SourceUnavailable, UnreadableSource

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import URL, ColumnClause, Connection, Engine, TableClause

LOCK_SECONDS = 30
"""For so long a reader waits while MLflow commits."""

_SQLITE_HEADER = b"SQLite format 3\x00"
_NEEDED = {"experiments": {"experiment_id", "name"}, "runs": {"run_uuid", "experiment_id"}}
_SERVERS = ("http", "https", "databricks", "databricks-uc", "mlflow-artifacts")
_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg2": "postgresql+psycopg",  # MLflow's own, which need not be here
}

_PACKAGES = {"MySQLdb": "mysqlclient"}


class MLflowDatabase:
    """A database of MLflow, open to read.

    Args:
        source: The path of a SQLite file, or the URL that MLflow calls its backend store.

    Attributes:
        name: What it is, for people; without its password.
        file_name: The same in short, without user and folder.

    Its schema changed with nearly every version, so what is asked for is what is there: a missing
    table has no rows, and a missing column is not among what rows have.

    Raises:
        UnreadableSource: It is no database, or none of MLflow.
        SourceUnavailable: The server does not answer, or a lock does not go away.
        MissingExtra: The driver for such a database is not installed.
    """

    def __init__(self, source: str | os.PathLike[str] | URL) -> None:
        self._engine, self.name = _opened(source)
        self.file_name = self.name.rpartition("@")[2].rpartition("://")[2]
        if self._engine.dialect.name == "sqlite":
            self.file_name = Path(self.name).name
        with self._translated():
            inspector = inspect(self._engine)
            names = set(inspector.get_table_names())
            self._columns: dict[str, set[str]] = {}
            for name in _TABLES & names:
                try:
                    self._columns[name] = {one["name"] for one in inspector.get_columns(name)}
                except NoSuchTableError:
                    continue  # MLflow is just changing its schema
        for name, needed in _NEEDED.items():
            if not needed <= self.columns(name):
                raise UnreadableSource(
                    f"{self.name} is no database of MLflow, for it has no table {name!r} with "
                    f"{', '.join(sorted(needed))}; {_found(names)}"
                )

    def columns(self, name: str) -> set[str]:
        """Return the columns of a table; none where the table does not exist."""
        return self._columns.get(name, set())

    @contextmanager
    def snapshot(self) -> Iterator[Snapshot]:
        """Read in one transaction, which sees the database as it is now."""
        with self._translated(), self._engine.connect() as connection, connection.begin():
            yield Snapshot(self, connection)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            raise _explained(error.orig or error, self.name) from None
        except SQLAlchemyError as error:
            raise UnreadableSource(f"{self.name} cannot be read: {_one_line(error)}") from None


class Snapshot:
    """What a database of MLflow holds at one moment.

    Args:
        database: The database.
        connection: A connection inside a transaction.
    """

    def __init__(self, database: MLflowDatabase, connection: Connection) -> None:
        self._database, self._connection = database, connection

    def rows(self, name: str, /, *wanted: str, **equal: Any) -> list[dict[str, Any]]:
        """Return rows of a table, with the columns that it has.

        Args:
            name: The table.
            wanted: Only these columns, as far as it has them; all, if none is named.
            equal: Values that its columns have to have.
        """
        columns = self._database.columns(name)
        if not columns or not columns.issuperset(equal):
            return []
        chosen = columns.intersection(wanted) if wanted else columns
        statement = _equal(select(*map(column, sorted(chosen))), name, equal)
        return [dict(row) for row in self._connection.execute(statement).mappings()]

    def parts(
        self, name: str, wanted: tuple[str, ...], size: int, /, **equal: Any
    ) -> Iterator[tuple[tuple[Any, ...], ...]]:
        """Yield rows of a table by columns, some at a time.

        Args:
            name: The table.
            wanted: Its columns, all of which it has.
            size: At most so many rows at a time.
            equal: Values that its columns have to have.
        """
        statement = _equal(select(*map(column, wanted)), name, equal)
        result = self._connection.execute(statement, execution_options={"yield_per": size})
        for part in result.partitions():
            yield tuple(zip(*part, strict=True))

    def counts(self, name: str, by: str, /, **equal: Any) -> dict[str, int]:
        """Count rows of a table, as the database itself does, for each value of a column."""
        if not self._database.columns(name):
            return {}
        group: ColumnClause[Any] = column(by)
        statement = _equal(select(group, func.count()), name, equal).group_by(group)
        return {value: int(count) for value, count in self._connection.execute(statement)}


_TABLES = {
    "alembic_version", "datasets", "experiment_tags", "experiments", "input_tags", "inputs",
    "latest_metrics", "logged_model_metrics", "logged_model_params", "logged_model_tags",
    "logged_models", "metrics", "model_version_tags", "model_versions", "params",
    "registered_model_aliases", "runs", "tags", "trace_request_metadata",
}  # fmt: skip


def _equal(statement: Any, name: str, equal: dict[str, Any]) -> Any:
    source: TableClause = table(name)
    return statement.select_from(source).where(*(column(key) == equal[key] for key in equal))


def _opened(source: str | os.PathLike[str] | URL) -> tuple[Engine, str]:
    if isinstance(source, os.PathLike):
        return _sqlite(Path(source))
    if isinstance(source, str):
        if source.startswith("file:") or source.split("://")[0] in _SERVERS:
            raise UnreadableSource(
                f"{shown_source(source)} is no database; name what MLflow's server was "
                "started with as --backend-store-uri, such as sqlite:///mlflow.db or "
                "postgresql://..."
            )
        if not source:
            raise UnreadableSource("the path is empty; name the database of MLflow")
        if "://" not in source:
            return _sqlite(Path(source))
    try:
        url = make_url(source)
    except (ArgumentError, ValueError):
        raise UnreadableSource(
            "the URL of the MLflow database cannot be read; it looks like 'sqlite:///mlflow.db' "
            "or 'postgresql://user:password@host:5432/mlflow', with special characters of the "
            "password percent-encoded"
        ) from None
    if url.get_backend_name() == "sqlite":
        return _sqlite(Path(url.database or ""))
    return _server(url)


def _sqlite(path: Path) -> tuple[Engine, str]:
    if "\x00" in str(path):
        raise UnreadableSource(f"the path {str(path)!r} holds a NUL character; remove it")
    with suppress(RuntimeError):  # of a user whom nobody knows: it is said that there is no file
        path = path.expanduser()
    path = path.absolute()
    if path.is_dir() and (path / "mlflow.db").is_file():
        path /= "mlflow.db"
    _check_header(path)
    place = f"{path.as_uri()}?mode=ro"
    if not _can_be_read(place) and _can_be_read(f"{place}&immutable=1") and not _has_log(path):
        # A file in WAL mode in a folder where nobody may write: so it cannot change either.
        place += "&immutable=1"

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            place, uri=True, timeout=LOCK_SECONDS, check_same_thread=False, isolation_level=None
        )
        # SQLite holds whatever bytes somebody wrote as text.
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine, str(path)


def _check_header(path: Path) -> None:
    if path.is_dir():
        raise UnreadableSource(
            f"{path} is a folder without an mlflow.db; name the database of MLflow. Runs that "
            "MLflow keeps as files (mlruns) are in no database"
        )
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except FileNotFoundError:
        raise UnreadableSource(f"there is no file {path}; name the database of MLflow") from None
    except OSError as error:
        raise UnreadableSource(f"{path} cannot be read: {error.strerror}") from None
    if head.startswith(b"version https://git-lfs"):
        raise UnreadableSource(
            f"{path} is a pointer of git-lfs, and not the database itself; run: git lfs pull"
        )
    if not head.startswith(_SQLITE_HEADER):
        found = f"it begins with {head[:16]!r}" if head else "it is empty"
        raise UnreadableSource(f"{path} is no SQLite database: {found}")


def _can_be_read(place: str) -> bool:
    try:
        connection = sqlite3.connect(place, uri=True, timeout=LOCK_SECONDS)
    except sqlite3.Error:
        return False
    try:
        connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
    except sqlite3.OperationalError as error:
        return "unable to open" not in str(error)
    except sqlite3.DatabaseError:
        return True  # what is wrong with it is said when it is read
    finally:
        connection.close()
    return True


def _has_log(path: Path) -> bool:
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def _server(url: URL) -> tuple[Engine, str]:
    url = url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))
    name = url.set(query={}).render_as_string(hide_password=True)
    options: dict[str, Any] = {}
    if url.get_backend_name() == "postgresql":
        # One statement would not see what the one before it saw, else.
        options = {"isolation_level": "REPEATABLE READ"}
        if "connect_timeout" not in url.query:
            options["connect_args"] = {"connect_timeout": CONNECT_SECONDS}
    try:
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True, **options)
    except ModuleNotFoundError as error:
        package = _PACKAGES.get(str(error.name), error.name)
        raise MissingExtra(
            f"to read {name} takes the driver {error.name!r}, which is not installed; run: "
            f"pip install {package}, or name another driver in the URL, such as mysql+pymysql://"
        ) from None
    except (NoSuchModuleError, SQLAlchemyError) as error:
        raise UnreadableSource(f"{name} cannot be read: {_one_line(error)}") from None
    return engine, name


def _found(names: set[str]) -> str:
    if not names:
        return "it has no tables at all"
    if "training_runs" in names:
        return "it is one of training-db itself; name the one that MLflow writes"
    listed = ", ".join(sorted(names)[:8])
    return f"its tables are {listed}" + (" ..." if len(names) > 8 else "")


def _explained(error: BaseException, name: str) -> SourceUnavailable | UnreadableSource:
    reason = _one_line(error)
    if isinstance(error, sqlite3.DatabaseError) and "locked" not in reason:
        hint = ""
        if "unable to open" in reason or "readonly" in reason:
            hint = "; a program that wrote it may have died: open it once where it can be written"
        return UnreadableSource(f"{name} cannot be read: {reason}{hint}")
    return SourceUnavailable(
        f"{name} cannot be read: {reason}; check that it runs, that the URL is right, and that "
        "no other program keeps it locked"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def shown_source(text: str) -> str:
    """Return the path or URL of a database for people: without its password."""
    try:
        return make_url(text).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return text.rpartition("@")[2]
