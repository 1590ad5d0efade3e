"""What the drivers raise becomes an error of our tree here, once, for every statement."""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING

from training_db.errors import (
    Conflict,
    DatabaseError,
    DatabaseUnavailable,
    InvalidValue,
    TrainingDBError,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import ExceptionContext

_UNAVAILABLE_WORDS = ("locked", "unable to open", "readonly", "disk", "not a database", "malformed")
# Lost connections, refused logins, no such database, too few resources, an operator's stop.
_UNAVAILABLE_CLASSES = {"08", "28", "3D", "53", "57"}
# By their codes in the SQL standard and PostgreSQL.
_READ_ONLY = "25006"
_REFUSALS = (
    (
        "42501",
        "this login may not do that",
        "log in as a role that may (docs/postgresql.md says which rights each kind of role needs)",
    ),
    (
        _READ_ONLY,
        "this server, or this login, only reads",
        "write to the primary, as a role that may; the next attempt looks for it again",
    ),
    (
        "57014",
        "a statement was ended before it was done",
        "ask for less, or raise TRAINING_DB_STATEMENT_TIMEOUT if that was the limit",
    ),
    ("40001", "the server could not finish a statement beside what others did", "try it again"),
    (
        "40P01",
        "two transactions waited for each other, and the server ended this one",
        "try it again; transactions that change runs in the same order do not meet like this",
    ),
)
# A refused login has no code, so words tell what to look at.
_REMEDIES = (
    (
        ("certificate", "root.crt", "not support SSL", "no encryption"),
        "check sslmode (TRAINING_DB_SSLMODE) and sslrootcert (TRAINING_DB_SSLROOTCERT)",
    ),
    (
        ("password", "authentication failed", "no pg_hba.conf entry"),
        "check the user and the password; in a URL, special characters are percent-encoded",
    ),
    (
        ("timeout", "timed out"),
        "check the host and its firewall, or raise TRAINING_DB_CONNECT_TIMEOUT",
    ),
    (("too many", "remaining connection slots"), "close some, or put PgBouncer in front of it"),
)
# In a URL, and as a word of a DSN or of JSON, quoted or not.
_IN_URL = re.compile(r"(://[^:/@\s]*:)\S*@")
_IN_WORDS = re.compile(
    r"""(password["']?\s*[=:]\s*)('(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?|\S+)""", re.IGNORECASE
)


def translated(error: BaseException) -> Exception:
    """Return the error of our tree for one that a database driver raised."""
    message = _one_line(error)
    if isinstance(error, sqlite3.IntegrityError) or _state(error).startswith("23"):
        return Conflict(f"the database refused a row: {message}")
    if isinstance(error, (OverflowError, UnicodeError)) or _is_data_error(error):
        return InvalidValue(f"the database cannot hold a value: {message}")
    for state, says, remedy in _REFUSALS:
        if _state(error) == state:
            return DatabaseError(f"{says}: {message}; {remedy}")
    if _is_unavailable(error):
        return DatabaseUnavailable(f"the database cannot be used: {message}; {_remedy(message)}")
    return DatabaseError(f"the database reported: {message}")


def redacted(text: str) -> str:
    """Return a text without the passwords of the URLs and the options in it."""
    return _IN_WORDS.sub(r"\1***", _IN_URL.sub(r"\1***@", text))


def translate(context: ExceptionContext) -> BaseException | None:
    """Answer SQLAlchemy, which asks with each error what to raise in its place."""
    if context.is_pre_ping:
        return None  # the pool finds a dead connection by the driver's own error
    original = context.original_exception
    if _state(original) == _READ_ONLY:
        # The primary of before: a new connection may go to the one of now.
        context.is_disconnect = True
    if isinstance(original, TrainingDBError):
        return original  # from a type of ours, which SQLAlchemy would wrap
    drivers = (context.dialect.loaded_dbapi.Error, OverflowError, UnicodeError)
    # Anything else is a mistake in our own code: let it be seen as what it is.
    return translated(original) if isinstance(original, drivers) else None


def _is_data_error(error: BaseException) -> bool:
    # 54000: more than an index row can hold. psycopg's own refusals carry no state.
    return _state(error)[:2] in {"22", "54"} or type(error).__name__ == "DataError"


def _is_unavailable(error: BaseException) -> bool:
    if isinstance(error, sqlite3.DatabaseError):
        return any(words in str(error) for words in _UNAVAILABLE_WORDS)
    name = type(error).__name__
    if _state(error)[:2] in _UNAVAILABLE_CLASSES:
        return True
    return name in {"OperationalError", "ConnectionTimeout"} and not _state(error)


def _remedy(message: str) -> str:
    for words, remedy in _REMEDIES:
        if any(word in message for word in words):
            return remedy
    return "check that it runs, that the URL is right, and that no other program keeps it locked"


def _state(error: BaseException) -> str:
    """Return the five characters of the SQL standard, which PostgreSQL's errors carry."""
    return getattr(error, "sqlstate", None) or ""


def _one_line(error: BaseException) -> str:
    return redacted(" ".join(str(error).split()) or type(error).__name__)
