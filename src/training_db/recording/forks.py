"""Forks: a child goes on with spools of its own, and leaves those of its parent alone."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Iterable


class Forked(Protocol):
    """What is needed of a recorder."""

    def before_fork(self) -> None:
        """Let no thread be in the middle of anything that a child would inherit."""

    def after_fork_in_parent(self) -> None:
        """Go on."""

    def after_fork_in_child(self) -> None:
        """Forget what is the parent's."""


_recorders: WeakSet[Any] = WeakSet()


def watch(recorder: Forked) -> None:
    """Prepare this recorder whenever the process forks."""
    _recorders.add(recorder)


def keep_for_ever(things: Iterable[object]) -> None:
    """Keep objects from being destroyed, also at the end of the interpreter.

    SQLite would delete the log of a spool when a child closes the connection it inherited, even
    at its exit, although its parent goes on writing it.
    """
    for thing in things:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _all(method: str) -> Any:
    def call() -> None:
        for recorder in list(_recorders):
            getattr(recorder, method)()

    return call


os.register_at_fork(
    before=_all("before_fork"),
    after_in_parent=_all("after_fork_in_parent"),
    after_in_child=_all("after_fork_in_child"),
)
