"""What a live W&B run is told, overheard on its way to W&B, which gets it unchanged.

All that a run is told, by whichever name or integration, goes through a few methods of the
interface to the process that writes its log. So those are overheard, on this one object. A run of
mode ``disabled`` has none; there it is ``log``.
"""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from training_db.recording.complaints import shown, warn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from training_db.capture.live.rows import MirroredRows

_OF_A_RUN = ("id", "config", "summary", "start_time", "_settings", "_finish")
_OF_ROWS = ("publish_partial_history", "_publish_partial_history")
_CHANGES = ("publish_run", "publish_config", "publish_summary")
_OTHERS = ("publish_alert", "publish_files", "deliver_artifact", "publish_artifact",
           "publish_tbdata")  # fmt: skip
_HEARD_BY = "_training_db_listeners"


class Listener(Protocol):
    """What is told of the calls; it raises nothing."""

    rows: MirroredRows | None

    def logged(self, data: Mapping[str, Any], step: int | None, commit: bool | None) -> None:
        """Take what was logged; the mapping is the listener's."""

    def changed(self) -> None:
        """Take note that the config, the summary, a tag, the name or the notes changed."""

    def alerted(self, title: str, text: str, level: str) -> None:
        """Take note of an alert."""

    def saved(self, paths: list[str]) -> None:
        """Take note of files of the run, named by their paths in its folder."""

    def logged_artifact(self, artifact: Any, aliases: Any) -> None:
        """Take note of an artifact."""

    def unheard(self, what: str) -> None:
        """Take note that something reaches W&B by another way."""

    def finishing(self, finish: Callable[[], Any]) -> Any:
        """Call what finishes the run, and return what it returns."""

    def tearing_down(self) -> None:
        """Take note that W&B is about to end all runs of the process, finished or not."""

    def torn_down(self, exit_code: int) -> None:
        """Take note that it has."""


def check(run: Any) -> None:
    """Make sure that this client of W&B can be overheard.

    Args:
        run: A live run of W&B.

    Raises:
        ValueError: It lacks what rows go through.
    """
    interface = getattr(run, "_interface", None)
    missing = [name for name in (*_OF_A_RUN, "_interface") if not hasattr(run, name)]
    if interface is not None:
        missing += [name for name in _OF_ROWS if not hasattr(interface, name)]
    if missing:
        raise ValueError(f"this version of wandb has no {', '.join(missing)}")
    if interface is None:
        return
    parts = [(run, "_set_backend"), (run, "_wl")]
    parts += [(interface, name) for name in (*_CHANGES, *_OTHERS)]
    if lacking := [name for owner, name in parts if not hasattr(owner, name)]:
        warn(
            f"this version of wandb has no {', '.join(lacking)}: what goes through that in others "
            "is not mirrored; `training-db import wandb-offline` takes it from the log of W&B"
        )


def overhear(run: Any, listener: Listener) -> None:
    """Have a listener told of what a run is told from now on.

    Args:
        run: A live run of W&B, which :func:`check` has let pass.
        listener: Who is told, after W&B was.
    """
    endings = ["_finish"]
    if run._interface is None:
        _overhear_disabled(run, listener)
        endings = ["_finish", "finish"]  # there, neither calls the other
    else:
        _Ear(listener).attach(run._interface)
        # In a forked child, W&B gives the run another interface when it is used first.
        _wrap(run, "_set_backend", lambda call: _then_attach(call, listener))
        _quietly(_hear_of_teardown, run, listener)  # which ends a run that nobody finishes
    for name in endings:
        _wrap(run, name, lambda call: _finish(call, listener))


class _Ear:
    """Overhears one interface."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._under_way = threading.local()

    def attach(self, interface: Any) -> None:
        listener = self._listener
        _wrap(interface, "publish_partial_history", self._history)
        _wrap(interface, "_publish_partial_history", self._sent)
        for name in _CHANGES:
            _wrap(interface, name, lambda call: _then(call, lambda *_, **__: listener.changed()))
        _wrap(interface, "publish_alert", lambda call: _then(call, self._alert))
        _wrap(interface, "publish_files", lambda call: _then(call, self._files))
        for name in ("publish_artifact", "deliver_artifact"):
            _wrap(interface, name, lambda call: _then(call, self._artifact))
        _wrap(interface, "publish_tbdata", lambda call: _then(call, self._board))

    # W&B turns the values into what it stores within the first call, in the dict that it was
    # passed; the second one only sends them. Held between the two, a lock would let threads wait
    # for each other's media.

    def _history(self, call: Callable[..., Any]) -> Callable[..., Any]:
        under_way = self._under_way
        names = "run", "data", "user_step", "step", "flush", "publish_step"

        @functools.wraps(call)
        def publish(*args: Any, **options: Any) -> Any:
            before = getattr(under_way, "call", None)
            under_way.call = dict(zip(names, args, strict=False)) | options
            try:
                return call(*args, **options)
            finally:
                under_way.call = before

        return publish

    def _sent(self, call: Callable[..., Any]) -> Callable[..., Any]:
        under_way, listener = self._under_way, self._listener

        @functools.wraps(call)
        def publish(*args: Any, **options: Any) -> Any:
            named = getattr(under_way, "call", None)
            rows = listener.rows
            if named is None or rows is None:
                return call(*args, **options)
            with rows.lock:
                try:
                    return call(*args, **options)
                finally:  # also where W&B's process is gone: then this is all that is left
                    step = named.get("step") if named.get("publish_step", True) else None
                    listener.logged(named["data"], step, named.get("flush"))

        return publish

    def _alert(self, title: Any = "", text: Any = "", level: Any = "", *_: Any, **__: Any) -> None:
        self._listener.alerted(title, text, level)

    def _files(self, files: Any = None, *_: Any, **options: Any) -> None:
        given = files or options.get("files_dict") or {}
        self._listener.saved([str(path) for path, _policy in given.get("files", ())])

    def _board(self, *_: Any, **__: Any) -> None:
        self._listener.unheard("the scalars of TensorBoard, which W&B's own process reads,")

    def _artifact(
        self, _run: Any = None, artifact: Any = None, aliases: Any = None, *_: Any, **__: Any
    ) -> None:
        self._listener.logged_artifact(artifact, aliases)


def _wrap(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put something in the place of a method of this one object, if its class has it."""
    call = getattr(owner, name, None)
    if callable(call):
        setattr(owner, name, make(call))


def _then(call: Callable[..., Any], tell: Callable[..., None]) -> Callable[..., Any]:
    @functools.wraps(call)
    def both(*args: Any, **options: Any) -> Any:
        result = call(*args, **options)
        _quietly(tell, *args, **options)
        return result

    return both


def _then_attach(call: Callable[..., Any], listener: Listener) -> Callable[..., Any]:
    @functools.wraps(call)
    def attach(*args: Any, **options: Any) -> Any:
        result = call(*args, **options)
        for interface in (*args, *options.values()):
            _quietly(_Ear(listener).attach, interface)
        return result

    return attach


def _finish(call: Callable[..., Any], listener: Listener) -> Callable[..., Any]:
    @functools.wraps(call)
    def finish(*args: Any, **options: Any) -> Any:
        return listener.finishing(functools.partial(call, *args, **options))

    return finish


def _hear_of_teardown(run: Any, listener: Listener) -> None:
    """Have a listener told when the process of W&B is ended, which many runs share."""
    service = run._wl.assert_service()
    listeners = vars(service).get(_HEARD_BY)
    if listeners is None:
        listeners = WeakSet[Any]()
        setattr(service, _HEARD_BY, listeners)
        _wrap(service, "teardown", lambda call: _torn_down(call, listeners))
    listeners.add(listener)


def _torn_down(call: Callable[..., Any], listeners: WeakSet[Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def teardown(*args: Any, **options: Any) -> Any:
        told = [*listeners]
        for one in told:
            _quietly(one.tearing_down)
        try:
            return call(*args, **options)
        finally:
            codes = [code for code in (*args, *options.values()) if isinstance(code, int)]
            for one in told:
                _quietly(one.torn_down, codes[0] if codes else 0)

    return teardown


def _overhear_disabled(run: Any, listener: Listener) -> None:
    import wandb

    from training_db.capture.live.rows import without_wandb

    call = run.log

    def tell(
        data: Any, step: int | None = None, commit: bool | None = None, *_: Any, **__: Any
    ) -> None:
        row = without_wandb(data)
        row.pop("_step", None)
        listener.logged(row, step, commit)

    def alert(title: Any, text: Any, level: Any = None, *_: Any, **__: Any) -> None:
        listener.alerted(title, text, getattr(level, "value", level) or "INFO")

    _wrap(run, "alert", lambda call: _then(call, alert))
    is_global = getattr(wandb.log, "__self__", None) is run
    run.log = _then(call, tell)
    if is_global:
        wandb.log = run.log


def _quietly(call: Callable[..., Any], *args: Any, **options: Any) -> None:
    try:
        call(*args, **options)
    except Exception as error:  # noqa: BLE001 - a training does not end for its mirror
        warn(f"something of a mirrored run was not recorded: {shown(error)}")
