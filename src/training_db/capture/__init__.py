"""Runs that other tools track, captured: live, from their files, from their servers, and back.

Names load on first use, for each brings the package of the tool along.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training_db.capture.context.file import load_wandb_context_from_env, save_wandb_context
    from training_db.capture.context.pipeline import WandBContext, create_wandb_context
    from training_db.capture.export.folders import export_wandb
    from training_db.capture.live.completion import capture_run
    from training_db.capture.live.mirroring import mirror
    from training_db.capture.mlflow.importing import import_mlflow
    from training_db.capture.offline.importing import import_wandb_logs
    from training_db.capture.remote.importing import import_wandb_project

_HOMES = {
    "WandBContext": "context.pipeline",
    "capture_run": "live.completion",
    "create_wandb_context": "context.pipeline",
    "export_wandb": "export.folders",
    "import_mlflow": "mlflow.importing",
    "import_wandb_logs": "offline.importing",
    "import_wandb_project": "remote.importing",
    "load_wandb_context_from_env": "context.file",
    "mirror": "live.mirroring",
    "save_wandb_context": "context.file",
}

__all__ = [
    "WandBContext",
    "capture_run",
    "create_wandb_context",
    "export_wandb",
    "import_mlflow",
    "import_wandb_logs",
    "import_wandb_project",
    "load_wandb_context_from_env",
    "mirror",
    "save_wandb_context",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
