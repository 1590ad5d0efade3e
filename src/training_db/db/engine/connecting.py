"""Each new connection to a PostgreSQL server: its password, its options, and patience."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds
_REFUSED_OPTION = "unsupported startup parameter"  # PgBouncer's words
# A server that answers with FATAL refuses us for good, unless it is only on its way.
_ON_ITS_WAY = (
    "starting up",
    "shutting down",
    "recovery mode",
    "not yet accepting connections",
    "terminating connection",
    "connect to server",  # what PgBouncer says when the server behind it is away
    "server_login_retry",
)
_waits = ContextVar("training_db_waits_for_server", default=True)


@contextmanager
def at_once() -> Iterator[None]:
    """Let connecting fail at once inside the block, for who tries again anyway."""
    token = _waits.set(False)
    try:
        yield
    finally:
        _waits.reset(token)


class Connecting:
    """Makes the connections of one engine.

    Args:
        token: Makes the password of each connection; ``None`` if it has a lasting one.
        options: Settings of the session, as libpq's ``options``. PgBouncer refuses or ignores
            them; whoever asked for them looks whether they hold.
        patience: Seconds to wait for a server that was there before: it is restarted, or another
            one takes its place.
    """

    def __init__(
        self, token: Callable[[], str] | None, options: str | None, patience: float
    ) -> None:
        self._token, self._options, self._patience = token, options, patience
        self._has_connected = False

    def __call__(self, dialect: Any, _record: object, args: Any, arguments: dict[str, Any]) -> Any:
        """Answer SQLAlchemy, which asks for a connection."""
        connection = self._patiently(dialect, lambda: self._once(dialect, args, arguments))
        self._has_connected = True
        return connection

    def _patiently(self, dialect: Any, connect: Callable[[], Any]) -> Any:
        try:
            return connect()
        except dialect.loaded_dbapi.OperationalError as error:
            is_awaited = self._has_connected and self._patience > 0 and _waits.get()
            if not (is_awaited and _may_pass(error)):
                raise
        from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

        retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            wait=wait_exponential(_FIRST_PAUSE, _LONGEST_PAUSE),
            stop=stop_after_delay(self._patience),
            reraise=True,
        )
        return retrying(connect)

    def _once(self, dialect: Any, args: Any, arguments: dict[str, Any]) -> Any:
        given = dict(arguments)
        if self._token is not None:
            given["password"] = self._token()
        if self._options is None:
            return dialect.connect(*args, **given)
        own = given.get("options")
        given["options"] = f"{own} {self._options}" if own else self._options
        try:
            return dialect.connect(*args, **given)
        except dialect.loaded_dbapi.OperationalError as error:
            if _REFUSED_OPTION not in str(error):
                raise
        self._options = None
        return self._once(dialect, args, arguments)


def _may_pass(error: BaseException) -> bool:
    words = str(error)
    return "FATAL" not in words or any(one in words for one in _ON_ITS_WAY)
