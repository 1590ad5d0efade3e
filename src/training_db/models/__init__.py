"""The schema at its newest version, as declarative SQLAlchemy models."""

from training_db.models.artifact import Artifact, run_artifacts
from training_db.models.base import Base
from training_db.models.event import Event, run_events
from training_db.models.history import HistoryKeyMetrics, run_history_key_metrics
from training_db.models.metric import (
    METRIC_STATISTICS,
    MetricName,
    RunMetric,
    metric_names,
    run_metrics,
)
from training_db.models.objective import (
    DIRECTIONS,
    OBJECTIVE_STATISTICS,
    Objective,
    run_objectives,
)
from training_db.models.run import Run, RunStatus, training_runs
from training_db.models.scaffold import Scaffold, run_scaffolds
from training_db.models.segment import (
    HistorySegment,
    HistoryTail,
    run_history_segments,
    run_history_tails,
)
from training_db.models.tag import Tag, run_tags

__all__ = [
    "DIRECTIONS",
    "METRIC_STATISTICS",
    "OBJECTIVE_STATISTICS",
    "Artifact",
    "Base",
    "Event",
    "HistoryKeyMetrics",
    "HistorySegment",
    "HistoryTail",
    "MetricName",
    "Objective",
    "Run",
    "RunMetric",
    "RunStatus",
    "Scaffold",
    "Tag",
    "metric_names",
    "run_artifacts",
    "run_events",
    "run_history_key_metrics",
    "run_history_segments",
    "run_history_tails",
    "run_metrics",
    "run_objectives",
    "run_scaffolds",
    "run_tags",
    "training_runs",
]
