"""training-db: one SQL database of every training run.

Names load on first use, so that importing the package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from training_db.analysis.curves.plateau import detect_plateau
    from training_db.capture.context.file import load_wandb_context_from_env, save_wandb_context
    from training_db.capture.context.pipeline import WandBContext, create_wandb_context
    from training_db.capture.live.completion import capture_run
    from training_db.capture.live.mirroring import mirror
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
    "WandBContext",
    "attach_blog_post",
    "attach_conversation",
    "attach_crash_data",
    "capture_run",
    "create_wandb_context",
    "detect_plateau",
    "get_run",
    "get_stats",
    "init_db",
    "insert_objective",
    "insert_run",
    "insert_scaffolds",
    "load_wandb_context_from_env",
    "mirror",
    "query_runs",
    "query_runs_by_objectives",
    "query_scaffolds",
    "save_wandb_context",
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
    "WandBContext": "capture",
    "capture_run": "capture",
    "create_wandb_context": "capture",
    "detect_plateau": "analysis.curves.plateau",
    "load_wandb_context_from_env": "capture",
    "mirror": "capture",
    "save_wandb_context": "capture",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'functions')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
