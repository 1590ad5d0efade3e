"""How PostgreSQL is connected to; each option stands beside its reason."""

from __future__ import annotations

from functools import partial
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event

from training_db.db.engine.connecting import Connecting
from training_db.db.engine.iam import IAMToken
from training_db.errors import ConfigurationError
from training_db.settings import IAM_AUTH, STATEMENT_TIMEOUT, seconds_of

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine

READS = "training_db_reads"
CONNECT_SECONDS = 10
_ARGUMENTS = {
    "application_name": "training-db",
    # A prepared statement gets one plan for all values, and a threshold that hardly a run
    # passes needs another one than a threshold that most do (1 ms instead of 18). PgBouncer
    # could not keep it for us either.
    "prepare_threshold": None,
    # A host that is gone does not say so: without these, a statement waits for hours.
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds
}
_IS_LIMITED_HERE = "training_db_limits_statements"


def postgresql_engine(url: URL, *, waits: bool = True) -> Engine:
    """Make an engine for a PostgreSQL server.

    Args:
        url: Its resolved URL.
        waits: Whether to wait for a server that was there before, as long as for a connection.

    Raises:
        ConfigurationError: An option of the URL cannot work.
        MissingExtra: IAM login needs boto3.
    """
    limit, arguments = _milliseconds(url), _arguments(url)
    engine = create_engine(
        url.difference_update_query([IAM_AUTH, STATEMENT_TIMEOUT]),
        connect_args=arguments,
        pool_pre_ping=True,  # a server that failed over leaves dead connections in the pool
        hide_parameters=True,
    )
    token = IAMToken(url).fresh if _asks_for_token(url) else None
    options = f"-c statement_timeout={limit}" if limit else None
    patience = float(arguments["connect_timeout"]) if waits else 0.0
    event.listen(engine, "do_connect", Connecting(token, options, patience))
    if limit:
        event.listen(engine, "connect", partial(_look_whether_limited, limit))
        event.listen(engine, "begin", partial(_limit, limit))
    return engine


def libpq_environment(url: URL) -> dict[str, str]:
    """Return the variables by which PostgreSQL's own programs find a database and log in.

    Args:
        url: Its resolved URL.

    Returns:
        ``PGHOST``, ``PGPASSWORD`` and so on: a password has no place among a program's arguments.
        With IAM, the password is a token for a login within 15 minutes.

    Example:
        >>> from training_db.settings import resolve_url
        >>> libpq_environment(resolve_url("postgresql://ann@db.example.org/runs"))["PGUSER"]
        'ann'
    """
    from psycopg.pq import Conninfo

    _, given = url.get_dialect()().create_connect_args(url)  # several hosts, sockets ...
    options = {**given, **_arguments(url)}
    if _asks_for_token(url):
        options["password"] = IAMToken(url).fresh()
    names = {
        one.keyword.decode(): one.envvar.decode() for one in Conninfo.get_defaults() if one.envvar
    }
    return {name: str(options[key]) for key, name in names.items() if key in options}


def _arguments(url: URL) -> dict[str, Any]:
    """Return what the driver is told besides what the URL says."""
    query = url.query
    arguments = {name: value for name, value in _ARGUMENTS.items() if name not in query}
    mode, root = query.get("sslmode"), query.get("sslrootcert")
    if root and root != "system" and not Path(_text(root)).is_file():
        raise ConfigurationError(
            f"sslrootcert (TRAINING_DB_SSLROOTCERT) names {root!r}, where there is no file; name "
            "the file with the certificates that are trusted"
        )
    if mode is None and root:
        # libpq would encrypt, and not look whom it talks to, in spite of the certificates.
        arguments["sslmode"] = "verify-full"
    elif mode is None and _asks_for_token(url):
        arguments["sslmode"] = "require"  # RDS wants it, and the token is as good as a password
    given = query.get("connect_timeout")
    arguments["connect_timeout"] = ceil(seconds_of(_text(given))) if given else CONNECT_SECONDS
    return arguments


def _asks_for_token(url: URL) -> bool:
    return url.query.get(IAM_AUTH) in ("1", "true")


def _milliseconds(url: URL) -> int | None:
    given = url.query.get(STATEMENT_TIMEOUT)
    return round(seconds_of(_text(given)) * 1000) if given else None


def _text(value: object) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


def _look_whether_limited(limit: int, connection: Any, record: Any) -> None:
    """Find out whether the session has the limit, which a pooler may have refused or ignored."""
    was_autocommit, connection.autocommit = connection.autocommit, True
    found = connection.execute(
        "SELECT setting::bigint FROM pg_settings WHERE name = 'statement_timeout'"
    ).fetchone()
    connection.autocommit = was_autocommit
    record.info[_IS_LIMITED_HERE] = found != (limit,)


def _limit(limit: int, connection: Connection) -> None:
    """Limit the statements of a transaction where the session cannot be: it is shared."""
    if not connection.info.get(_IS_LIMITED_HERE):
        return
    driver: Any = connection.connection.driver_connection
    if driver.autocommit:
        if not connection.get_execution_options().get(READS):
            return  # VACUUM, which no transaction takes
        # A transaction after all, which COMMIT ends: a limit needs one.
        connection.exec_driver_sql("BEGIN")
    setting = "SELECT set_config('statement_timeout', %s, true)"
    connection.exec_driver_sql(setting, (str(limit),))
