"""Live logging that never slows a training down and never loses a point.

``log()`` puts a row into a spool, a local SQLite file, and returns; a thread sends what is in the
spool to the database. What a killed process leaves in its spool is sent by the next start, or by
``training-db spool sync``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training_db.recording.complaints import RecorderWarning
    from training_db.recording.leftover import drop, status, sync
    from training_db.recording.recorder import Recorder

__all__ = ["Recorder", "RecorderWarning", "drop", "status", "sync"]

_HOMES = {"Recorder": "recorder", "RecorderWarning": "complaints"}


def __getattr__(name: str) -> Any:
    # On first use: the package is imported together with parts that need no numpy.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'leftover')}"), name)
