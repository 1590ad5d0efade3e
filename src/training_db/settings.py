"""The environment, read once: where the database is, and where what is logged waits for it.

First that is set wins: ``TRAINING_DB_URL``; ``TRAINING_DB_HOST`` with ``_PORT``, ``_NAME``,
``_USER``, ``_PASSWORD``, ``_SSLMODE``, ``_SSLROOTCERT`` and ``_IAM_AUTH``; ``TRAINING_DB_PATH``;
else a SQLite file in the platform's user data directory.

``TRAINING_DB_SPOOL_DIR`` and ``TRAINING_DB_SPOOL_BYTES`` say where recorders keep what the database
does not have yet, and how much of it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from training_db.errors import ConfigurationError

if TYPE_CHECKING:
    from training_db.environment import Environment

VARIABLES = (
    "TRAINING_DB_URL",
    "TRAINING_DB_HOST",
    "TRAINING_DB_PORT",
    "TRAINING_DB_NAME",
    "TRAINING_DB_USER",
    "TRAINING_DB_PASSWORD",
    "TRAINING_DB_SSLMODE",
    "TRAINING_DB_SSLROOTCERT",
    "TRAINING_DB_IAM_AUTH",
    "TRAINING_DB_PATH",
)
"""What says where the database is."""
SPOOL_VARIABLES = ("TRAINING_DB_SPOOL_DIR", "TRAINING_DB_SPOOL_BYTES")
SPOOL_BYTES = 2**30
DATABASE_FILE = "training.db"
_POSTGRESQL = {"postgres", "postgresql", "postgresql+psycopg"}
_SQLITE = {"sqlite", "sqlite+pysqlite"}


def resolve_url(place: str | os.PathLike[str] | URL | None = None) -> URL:
    """Say where the database is, as a URL that SQLAlchemy takes.

    Args:
        place: A URL (``sqlite:///runs.db``, ``postgresql://user@host/name``), the path of a SQLite
            file, or ``None`` for what the environment says.

    Returns:
        A URL with the driver this library uses. Paths are absolute, ``~`` is expanded, and a
        folder stands for the file ``training.db`` in it. Its ``repr`` hides the password.

    Raises:
        ConfigurationError: The URL cannot be read, or names a database that is not supported.

    Example:
        >>> resolve_url("postgres://ann:secret@db.example.org/runs")
        postgresql+psycopg://ann:***@db.example.org/runs
    """
    if place is None:
        return _from_environment()
    if isinstance(place, URL):
        return _with_driver(place)
    text = os.fspath(place)
    if not text.strip():
        raise ConfigurationError("the database URL is empty; name a SQLite file or a URL")
    if text == ":memory:":
        return URL.create("sqlite")
    if "://" not in text:
        return _sqlite_file(text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text may hold a password, so the error does not repeat it.
        raise ConfigurationError(
            "the database URL cannot be read; it looks like 'sqlite:///runs.db' or "
            "'postgresql://user:password@host:5432/name', with special characters of the "
            "password percent-encoded"
        ) from None
    return _with_driver(url)


def sqlite_path(url: URL) -> Path | None:
    """Return the file behind a SQLite URL, or ``None`` for PostgreSQL and for memory.

    Example:
        >>> sqlite_path(resolve_url("sqlite://")) is None
        True
    """
    if url.get_backend_name() != "sqlite" or is_in_memory(url):
        return None
    return Path(str(url.database))


def spool_settings() -> tuple[Path, int]:
    """Say where recorders keep what the database does not have yet, and how many bytes of it.

    Returns:
        A folder: ``TRAINING_DB_SPOOL_DIR``, else ``spool`` in the platform's state folder; and
        ``TRAINING_DB_SPOOL_BYTES``, else 1 GiB, for each recorder.

    Raises:
        ConfigurationError: A variable holds a value that cannot be used.
    """
    folder, most = None, SPOOL_BYTES
    if any(map(os.environ.get, SPOOL_VARIABLES)):
        from training_db.environment import SpoolEnvironment

        environment = SpoolEnvironment.read()
        folder, most = environment.dir, environment.bytes
    if folder is None:
        from platformdirs import user_state_path

        return user_state_path("training-db", appauthor=False) / "spool", most
    return Path(folder).expanduser().absolute(), most


def is_in_memory(url: URL) -> bool:
    """Tell whether a database lives and dies with its engine.

    Example:
        >>> is_in_memory(resolve_url(":memory:"))
        True
    """
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def _from_environment() -> URL:
    # pydantic-settings costs as much to load as SQLAlchemy: only those pay who use it.
    from training_db.environment import Environment

    return _from(Environment.read())


def _from(environment: Environment) -> URL:
    if environment.url is not None:
        return resolve_url(environment.url.get_secret_value())
    if environment.host:
        return environment.server_url()
    if environment.path:
        return _sqlite_file(environment.path)
    from platformdirs import user_data_path

    return _sqlite_file(str(user_data_path("training-db", appauthor=False) / DATABASE_FILE))


def _with_driver(url: URL) -> URL:
    if url.drivername in _POSTGRESQL:
        password = url.query.get("password")  # where nothing would hide it
        if isinstance(password, str):
            url = url.set(password=password).difference_update_query(["password"])
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in _SQLITE:
        raise ConfigurationError(
            f"{url.drivername!r} is not supported; use a sqlite:// or a postgresql:// URL"
        )
    if is_in_memory(url):
        return url
    if str(url.database).startswith("file:"):
        raise ConfigurationError(
            "SQLite's own file: URIs are not supported; name the file, as in sqlite:///runs.db"
        )
    return _sqlite_file(str(url.database)).set(query=url.query)


def _sqlite_file(text: str) -> URL:
    if "\x00" in text:
        raise ConfigurationError(f"the path {text!r} holds a NUL character; remove it")
    try:
        path = Path(text).expanduser()
    except RuntimeError as error:
        raise ConfigurationError(f"the path {text!r} cannot be used: {error}") from None
    if text.endswith(("/", os.sep)) or path.is_dir():
        path /= DATABASE_FILE
    return URL.create("sqlite", database=str(path.absolute()))
