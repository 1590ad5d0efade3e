"""The schema at its newest version, as declarative SQLAlchemy models."""

from training_db.models.base import Base
from training_db.models.history import HistoryKeyMetrics, run_history_key_metrics
from training_db.models.objective import (
    DIRECTIONS,
    OBJECTIVE_STATISTICS,
    Objective,
    run_objectives,
)
from training_db.models.run import Run, RunStatus, training_runs
from training_db.models.scaffold import Scaffold, run_scaffolds

__all__ = [
    "DIRECTIONS",
    "OBJECTIVE_STATISTICS",
    "Base",
    "HistoryKeyMetrics",
    "Objective",
    "Run",
    "RunStatus",
    "Scaffold",
    "run_history_key_metrics",
    "run_objectives",
    "run_scaffolds",
    "training_runs",
]
