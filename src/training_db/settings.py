"""The environment, read once: where the database is, and where what is logged waits for it.

First that is set wins: ``TRAINING_DB_URL``; ``TRAINING_DB_HOST`` with ``_PORT``, ``_NAME``,
``_USER`` and ``_PASSWORD``; ``TRAINING_DB_PATH``; else a SQLite file in the platform's user data
directory. ``TRAINING_DB_READ_URL`` names a replica of it to read from.

``TRAINING_DB_SSLMODE``, ``_SSLROOTCERT``, ``_IAM_AUTH``, ``_CONNECT_TIMEOUT`` and
``_STATEMENT_TIMEOUT`` say how to log in at a PostgreSQL server whose URL does not say so itself.

``TRAINING_DB_SPOOL_DIR`` and ``TRAINING_DB_SPOOL_BYTES`` say where recorders keep what the database
does not have yet, and how much of it.
"""

from __future__ import annotations

import os
import re
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
    "TRAINING_DB_PATH",
    "TRAINING_DB_READ_URL",
    "TRAINING_DB_SSLMODE",
    "TRAINING_DB_SSLROOTCERT",
    "TRAINING_DB_IAM_AUTH",
    "TRAINING_DB_CONNECT_TIMEOUT",
    "TRAINING_DB_STATEMENT_TIMEOUT",
)
"""What says where the database is, and how to log in there."""
_LOGIN_VARIABLES = VARIABLES[VARIABLES.index("TRAINING_DB_SSLMODE") :]
SPOOL_VARIABLES = ("TRAINING_DB_SPOOL_DIR", "TRAINING_DB_SPOOL_BYTES")
SPOOL_BYTES = 2**30
DATABASE_FILE = "training.db"
_POSTGRESQL = {"postgres", "postgresql", "postgresql+psycopg"}
_SQLITE = {"sqlite", "sqlite+pysqlite"}
IAM_AUTH = "training_db_iam_auth"
"""The option of a URL that asks for a fresh AWS IAM token as the password."""
STATEMENT_TIMEOUT = "training_db_statement_timeout"
"""The option of a URL that limits each statement, in seconds."""
_LOGIN_OPTIONS = {"sslmode", "sslrootcert", "connect_timeout", IAM_AUTH, STATEMENT_TIMEOUT}
# What is no URL and names a password: `host=db password=...`, `user:password@host`, `postgres:/...`
_LOGIN = re.compile(
    r"\b(?:password|passwd)\s*="
    r"|^\s*\w+\s*=\s*\S+\s+\w+\s*="
    r"|^[^:/\\]+:[^/\\]+@"
    r"|^\w*(?:sql|gres)\w*:",
    re.IGNORECASE,
)
_LOGIN_WITH_AT = re.compile(r"://[^:/]*:[^@]*@(?:[^?]*|[^?]*\?[^=]*)@")
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "min": 60.0, "h": 3600.0}
_DURATION = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*(ms|s|min|h|)\s*", re.ASCII)


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
    if not isinstance(place, (str, os.PathLike)):
        raise ConfigurationError(f"a database is named by a URL or a path, not by {place!r}")
    text = os.fsdecode(place)
    if not text.strip():
        raise ConfigurationError("the database URL is empty; name a SQLite file or a URL")
    if text == ":memory:":
        return URL.create("sqlite")
    if "://" not in text and not _LOGIN.search(text):
        return _sqlite_file(text)
    url = _url(text)
    if url is None:  # the text may hold a password, so the error does not repeat it
        raise ConfigurationError(
            "the database URL cannot be read; it looks like 'sqlite:///runs.db' or "
            "'postgresql://user:password@host:5432/name', with special characters of the "
            "password percent-encoded (%40 for @)"
        )
    return _with_driver(url)


def resolve_read_url(place: str | os.PathLike[str] | URL | None, primary: URL) -> URL | None:
    """Say which replica to read from.

    Args:
        place: A PostgreSQL URL, or ``None`` for ``TRAINING_DB_READ_URL``.
        primary: The resolved URL of the database itself.

    Returns:
        The URL, with the user, password, database and way to log in of the primary's where it
        names none; or ``None`` where there is no replica.

    Raises:
        ConfigurationError: The URL cannot be read, or one of the two is no PostgreSQL.

    Example:
        >>> primary = resolve_url("postgresql://ann:secret@db.example.org/runs")
        >>> resolve_read_url("postgresql://replica.example.org", primary)
        postgresql+psycopg://ann:***@replica.example.org/runs
    """
    place = place or os.environ.get("TRAINING_DB_READ_URL")
    if not place:
        return None
    url = resolve_url(place)
    if {url.get_backend_name(), primary.get_backend_name()} != {"postgresql"}:
        raise ConfigurationError(
            "a read URL (TRAINING_DB_READ_URL) names a replica of a PostgreSQL server, and either "
            "it or the database is none; leave it out"
        )
    if url.username is None:
        url = url.set(username=primary.username, password=primary.password)
    login = {k: v for k, v in primary.query.items() if k in _LOGIN_OPTIONS and k not in url.query}
    return url.set(database=url.database or primary.database).update_query_dict(login)


def seconds_of(text: str) -> float:
    """Read a duration: ``"30"`` or ``"30s"`` are seconds; ``ms``, ``min`` and ``h`` are known too.

    Raises:
        ConfigurationError: It is none, or not more than 0.

    Example:
        >>> seconds_of("500ms"), seconds_of("2min"), seconds_of("1.5")
        (0.5, 120.0, 1.5)
    """
    found = _DURATION.fullmatch(text)
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0.001 <= seconds <= 2_000_000:  # whole milliseconds that fit into PostgreSQL's integer
        raise ConfigurationError(
            f"{text!r} is no duration; write seconds, as in '30', or '500ms', '30s', '2min'"
        )
    return seconds


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


def _url(text: str) -> URL | None:
    # An @ that is not encoded would make the rest of the password a part of the host's name.
    if _LOGIN_WITH_AT.search(text):
        return None
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        return None


def _with_driver(url: URL) -> URL:
    if url.drivername in _POSTGRESQL:
        password = url.query.get("password")  # where nothing would hide it
        if password is not None:
            last = password if isinstance(password, str) else password[-1]
            url = url.set(password=last).difference_update_query(["password"])
        return _with_login(url.set(drivername="postgresql+psycopg"))
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


def _with_login(url: URL) -> URL:
    """Add what the environment says of each login, but for what the URL says itself."""
    if not any(map(os.environ.get, _LOGIN_VARIABLES)):
        return url
    from training_db.environment import LoginEnvironment

    options = LoginEnvironment.read().options()
    if url.password is not None:
        options.pop(IAM_AUTH, None)  # the URL has a password of its own
    return url.update_query_dict({k: v for k, v in options.items() if k not in url.query})


def _sqlite_file(text: str) -> URL:
    if "\x00" in text:
        raise ConfigurationError(f"the path {text!r} holds a NUL character; remove it")
    try:
        path = Path(text).expanduser()
        os.fsencode(path)
        is_folder = text.endswith(("/", os.sep)) or path.is_dir()
    except (RuntimeError, OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"the path {text[:200]!r} cannot be used: {why}") from None
    if is_folder:
        path /= DATABASE_FILE
    return URL.create("sqlite", database=str(path.absolute()))
