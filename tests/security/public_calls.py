"""Every public call there is, found by looking: who adds a method has it fuzzed."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import training_db

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_db import ExperimentDB, TrainingDB

ROOMS = (
    "runs", "objectives", "scaffolds", "metrics", "artifacts", "events", "tags", "statistics",
    "history", "analysis",
)  # fmt: skip
CLASSES_AND_CAPTURE = {
    "RULES", "ExperimentDB", "ExtractionRules", "RunStatus", "TrainingDB", "TrainingDBError",
    "WandBContext", "capture_run", "create_wandb_context", "load_wandb_context_from_env", "mirror",
    "save_wandb_context",
}  # fmt: skip
"""Names of ``__all__`` that are no questions to the default database."""
OTHERWISE = {"init_db"}
"""Fuzzed by tests of its own: it would leave files wherever a text leads."""


def methods_of(thing: object) -> dict[str, Callable[..., Any]]:
    """Return the public methods of an object, by name."""
    kind = type(thing)
    names = [name for name in dir(kind) if not name.startswith("_")]
    return {name: getattr(thing, name) for name in names if inspect.isfunction(getattr(kind, name))}


def public_calls(db: TrainingDB, tracker: ExperimentDB) -> dict[str, dict[str, Callable[..., Any]]]:
    """Return each public call by the room that it stands in, and by its name."""
    rooms = {room: methods_of(getattr(db, room)) for room in ROOMS}
    rooms["experiments"] = {
        name: call for name, call in methods_of(tracker).items() if name != "close"
    }
    names = set(training_db.__all__) - CLASSES_AND_CAPTURE - OTHERWISE
    rooms["functions"] = {name: getattr(training_db, name) for name in sorted(names)}
    return rooms
