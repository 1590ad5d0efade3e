"""The W&B client, made to end: retries that are bounded, and errors that say what was wrong."""

from __future__ import annotations

import math
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from training_db.capture.remote.patience import Patience
from training_db.errors import (
    ConfigurationError,
    MissingExtra,
    NotFound,
    SourceUnavailable,
    TrainingDBError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wandb.apis.public import Api, Run

_T = TypeVar("_T")
_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_MISSING = "Could not find"
_NO_MESSAGE = "<no message>"
# A run is tried twice, and after each the server is asked whether it is there at all.
_WAITED, _WAITED_TO_ASK = 0.375, 0.125
_FIRST_WAIT = 1  # the client takes whole seconds, and 0 for 2
_LONGER = 1.25
_RETRIED_KINDS = ("graphql", "file_transfer")
_LONGEST_REASON = 300
_RETRIED = re.compile(r"^.*(?:giving up after \d+ attempt\(s\):?|while retrying:)", re.DOTALL)


class Refused(SourceUnavailable):
    """The server does not let this key in, or not there."""


class Gone(NotFound):
    """The server does not have what it was asked for."""


class WandBClient:
    """W&B's public API, with each call bounded in time.

    Args:
        timeout: Seconds after which a server that is of no use is given up.

    Raises:
        MissingExtra: wandb is not installed.
        ConfigurationError: Its settings are none, such as an address that is no URL.
        SourceUnavailable: The server does not answer, or refuses the key.
    """

    def __init__(self, timeout: float) -> None:
        try:
            import wandb
        except ImportError:
            raise MissingExtra(
                "an import from W&B needs its client; run: pip install 'training-db[wandb]'"
            ) from None
        try:
            settings = wandb.setup().settings
        except Exception as error:  # noqa: BLE001 - a variable or file of W&B's that it cannot read
            raise ConfigurationError(
                f"the settings of W&B cannot be used: {_reason(error)}; look at WANDB_BASE_URL and "
                "the other variables of W&B"
            ) from None
        self._timeout = timeout
        self._was_useful = time.monotonic()
        self.patience = Patience(timeout * _WAITED, f"W&B at {settings.base_url}")
        _require_key(settings.base_url)
        bounds = retry_settings(timeout)
        before = {name: getattr(settings, name) for name in bounds}
        # The client would go on for a quarter of an hour. Its settings are the process's: a run
        # that trains here keeps them as they were.
        for name, given in before.items():
            setattr(settings, name, bounds[name] if given is None else given)
        try:
            self._api: Api = self.ask(lambda: wandb.Api(timeout=math.ceil(timeout)))
        finally:
            for name, given in before.items():
                setattr(settings, name, given)
        _accept_runs_of_nobody(self._api)

    @property
    def server(self) -> str:
        """What to call the server in a message."""
        return self.patience.server

    def runs(self, path: str, filters: dict[str, Any]) -> list[Run]:
        """List the runs of a project, oldest first, without their configs and summaries.

        Args:
            path: Entity and project.
            filters: What they have to match, in W&B's words.

        Raises:
            NotFound: There is no such project.
            SourceUnavailable: The server does not answer, or refuses.
        """
        pages = self.ask(lambda: self._api.runs(path, filters=filters, lazy=True))
        try:
            # Not by list(): it asks for the length first, which loads a page and hides its faults.
            found = self.ask(
                lambda: [run for run in pages],  # noqa: C416
                lambda: len(pages.objects),
            )
        except Gone:
            raise NotFound(
                f"{self.server} has no project {path!r}, or this key may not see it; "
                "write it as ENTITY/PROJECT, as in the address of its page"
            ) from None
        self.note_use()
        return found

    def run(self, path: str) -> Run:
        """Return one run by entity, project and id."""
        try:
            return self.ask(lambda: self._api.run(path))
        except Gone:
            raise NotFound(
                f"{self.server} has no run {path!r}, or this key may not see it"
            ) from None

    def is_gone(self, run: Run) -> bool:
        """Tell whether the server answers nothing, not even what is least to answer of a run."""
        try:
            seconds = self._timeout * _WAITED_TO_ASK
            self.patience.call(lambda: run.lastHistoryStep, seconds=seconds)
        except SourceUnavailable:
            return True
        except Exception as error:  # noqa: BLE001 - whatever the client raises, but for an answer
            return _status(error) != HTTPStatus.NOT_FOUND
        return False

    def note_use(self) -> None:
        """Note that something came that was asked for: rows, or all of a run."""
        self._was_useful = time.monotonic()

    @property
    def is_useless(self) -> bool:
        """Whether the server answers, and yet nothing of use has come for too long."""
        return time.monotonic() - self._was_useful > self._timeout

    def ask(self, work: Callable[[], _T], progress: Callable[[], object] | None = None) -> _T:
        """Do something with the client.

        Args:
            work: What to do.
            progress: What changes while answers come in.

        Raises:
            SourceUnavailable: The server does not answer, refuses, or answers with errors.
            Gone: What was asked for is not there.
        """
        try:
            return self.patience.call(work, progress)
        except (TrainingDBError, KeyboardInterrupt, SystemExit):
            raise
        except Exception as error:  # noqa: BLE001 - it raises those of several libraries
            if _MISSING in str(error):  # by one class for a project, by another for a run
                raise Gone(str(error)) from None
            raise self._explained(error) from None

    def _explained(self, error: Exception) -> SourceUnavailable:
        status, reason = _status(error), _reason(error)
        if status in _REFUSED:
            return Refused(
                f"{self.server} refuses the API key (HTTP {status}: {reason}); "
                "run `wandb login`, or set WANDB_API_KEY to a key of this server"
            )
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            return SourceUnavailable(
                f"{self.server} is asked too often (HTTP 429: {reason}); import again in a while, "
                "with fewer jobs: it goes on from what was imported"
            )
        return SourceUnavailable(
            f"{self.server} failed ({reason}); import again when it is well: it goes on from what "
            "was imported"
        )


def retry_settings(timeout: float) -> dict[str, int]:
    """Return the settings by which the client asks again, and gives up before we do.

    Args:
        timeout: Seconds after which a server that is of no use is given up.

    Returns:
        How often it asks again, at least once, and the seconds before it does so first. It waits
        twice as long each time, and up to a quarter longer than that.

    Example:
        >>> [retry_settings(timeout)["x_graphql_retry_max"] for timeout in (60, 10, 5)]
        [4, 2, 1]
    """
    times = int(math.log2(timeout * _WAITED / (_FIRST_WAIT * _LONGER) + 1))
    return {
        f"x_{kind}_retry_{name}": value
        for kind in _RETRIED_KINDS
        for name, value in (("max", max(times, 1)), ("wait_min_seconds", _FIRST_WAIT))
    }


def _require_key(host: str) -> None:
    """Refuse to go on without a key: the client would ask for one, and wait."""
    from wandb.sdk.lib import wbauth

    try:
        found = wbauth.authenticate_session(
            host=host, source="training-db", prompt=False, update_session=False
        )
    except Exception as error:  # noqa: BLE001 - one for each way to hold a key
        raise Refused(
            f"the API key for {host} cannot be used: {_reason(error)}; run `wandb login`, or set "
            "WANDB_API_KEY"
        ) from None
    if not found:
        raise Refused(f"there is no API key for {host}; run `wandb login`, or set WANDB_API_KEY")


def _accept_runs_of_nobody(api: Api) -> None:
    """Let the client take runs whose user is null, of which it would raise a TypeError."""
    service = api._service_api
    execute = service.execute_graphql

    def executed(*arguments: Any, **options: Any) -> Any:
        answer = execute(*arguments, **options)
        project = isinstance(answer, dict) and answer.get("project")
        if isinstance(project, dict):
            edges = (project.get("runs") or {}).get("edges") or ()
            for run in (project.get("run"), *(edge["node"] for edge in edges)):
                if run and run.get("user", run) is None:
                    del run["user"]
        return answer

    service.execute_graphql = executed  # type: ignore[method-assign]


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """Follow an error of the client, which wraps them more than once, to where it comes from."""
    while error is not None:
        yield error
        error = error.__cause__ or getattr(error, "exc", None)


def _status(error: Exception) -> int | None:
    for one in _behind(error):
        status = getattr(getattr(one, "response", None), "http_status", 0)
        if status:
            return int(status)
    return None


def _reason(error: Exception) -> str:
    *_, first = _behind(error)
    text = " ".join(_RETRIED.sub("", str(first)).split())
    if not text or _NO_MESSAGE in text:
        status = _status(error)
        text = f"HTTP {status}, without a message" if status else type(first).__name__
    return text if len(text) <= _LONGEST_REASON else text[: _LONGEST_REASON - 3] + "..."
