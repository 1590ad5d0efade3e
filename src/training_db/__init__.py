"""training-db: one SQL database of every training run.

Names load on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from training_db.database import TrainingDB
    from training_db.errors import TrainingDBError
    from training_db.experiment import ExperimentDB
    from training_db.extraction import RULES, ExtractionRules
    from training_db.functions import (
        attach_blog_post,
        attach_conversation,
        attach_crash_data,
        get_run,
        get_stats,
        init_db,
        insert_objective,
        insert_run,
        insert_scaffolds,
        query_runs,
        query_runs_by_objectives,
        query_scaffolds,
        update_objective_metric,
        update_objectives,
        update_run_status,
    )
    from training_db.models.run import RunStatus

__all__ = [
    "RULES",
    "ExperimentDB",
    "ExtractionRules",
    "RunStatus",
    "TrainingDB",
    "TrainingDBError",
    "attach_blog_post",
    "attach_conversation",
    "attach_crash_data",
    "get_run",
    "get_stats",
    "init_db",
    "insert_objective",
    "insert_run",
    "insert_scaffolds",
    "query_runs",
    "query_runs_by_objectives",
    "query_scaffolds",
    "update_objective_metric",
    "update_objectives",
    "update_run_status",
]

_HOMES = {
    "RULES": "extraction",
    "ExperimentDB": "experiment",
    "ExtractionRules": "extraction",
    "RunStatus": "models.run",
    "TrainingDB": "database",
    "TrainingDBError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'functions')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
