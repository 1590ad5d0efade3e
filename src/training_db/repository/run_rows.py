"""What a caller says of a run, as rows of ``training_runs`` and ``run_objectives``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from training_db.documents import encode
from training_db.errors import InvalidInput, InvalidValue
from training_db.extraction import (
    ExtractionRules,
    config_objectives,
    storable_objectives,
    summary_objectives,
)
from training_db.models import RunStatus, run_objectives
from training_db.records import ObjectiveFields, RunFields, as_mapping, checked
from training_db.repository.filters import COLUMNS
from training_db.timestamps import now

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from training_db.extraction import Objectives

# What callers say instead of the columns' names, in the words of the field.
_SUMMARY_NAMES = ("summary", "final_metrics", "final_metrics_json")
_CONFIG_NAMES = ("config", "config_dict", "config_json")
_OBJECTIVE_REST = tuple(
    column.name
    for column in run_objectives.c
    if column.name not in ("id", "run_id", "objective_name")
)
RUN_COLUMNS = tuple(name for name in COLUMNS if name not in ("number", "history_json"))
"""What an insert fills; the database gives the number."""
OBJECTIVE_COLUMNS = ("run_id", "objective_name", *_OBJECTIVE_REST)
_OBJECTIVE_TEXTS = ("objective_alias", "uniprot", "direction")


def new_run(
    fields: Mapping[str, Any], rules: ExtractionRules, moment: datetime
) -> tuple[dict[str, Any], Objectives]:
    """Make the row of a new run and its objectives.

    Args:
        fields: What ``RunRepository.insert`` takes.
        rules: Where columns are found in the documents.
        moment: The time of the insert.

    Returns:
        Column names and values, and for each objective the same.
    """
    row, objectives = _from_documents(fields, rules)
    if row.get("run_id") is None:
        raise InvalidValue("the run has no run_id; give each run one of its own")
    if row.get("created_at") is None:
        row["created_at"] = moment
    if row.get("status") == RunStatus.RUNNING and row.get("started_at") is None:
        row["started_at"] = row["created_at"]
    return row, objectives


def changed_run(
    fields: Mapping[str, Any], rules: ExtractionRules, *, is_lenient: bool = False
) -> tuple[dict[str, Any], Objectives]:
    """Make the changes of a run's row and its objectives; the same way as for a new one."""
    if "run_id" in fields:
        raise InvalidValue("a run keeps its run_id; insert a new run instead")
    return _from_documents(fields, rules, is_lenient=is_lenient)


def without_history(row: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """Take the history out of a row, for it goes to tables of its own; ``None`` is none."""
    return {name: value for name, value in row.items() if name != "history_json"}, row.get(
        "history_json"
    )


def lifetime_changes(changes: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the times that a new status implies and nobody gave.

    Args:
        changes: Columns that are being set.
        known: ``started_at``, ``ended_at`` and ``duration_seconds`` as they stand.
    """
    status = changes.get("status")
    implied: dict[str, Any] = {}
    if status == RunStatus.RUNNING:
        implied["started_at"] = changes.get("started_at") or known["started_at"] or now()
        # A run that goes on has not ended, whatever an earlier attempt noted.
        implied |= {name: changes.get(name) for name in ("ended_at", "duration_seconds")}
    if status in {one.value for one in RunStatus if one.ended}:
        started = changes.get("started_at") or known["started_at"]
        ended: datetime = changes.get("ended_at") or known["ended_at"] or now()
        implied["ended_at"] = ended
        if started and "duration_seconds" not in changes and known["duration_seconds"] is None:
            implied["duration_seconds"] = max(0, round((ended - started).total_seconds()))
    return implied


def new_rows(
    runs: Iterable[Mapping[str, Any]], rules: ExtractionRules, batch: int
) -> Iterator[tuple[list[list[Any]], list[list[Any]], dict[str, Any]]]:
    """Make rows for many runs, a batch at a time, in the order of the tables' columns.

    Yields:
        Rows of runs, rows of objectives, and the histories by run.

    Raises:
        InvalidValue: What :func:`new_run` raises, with the number of the run in front.
    """
    rows: list[list[Any]] = []
    objectives: list[list[Any]] = []
    histories: dict[str, Any] = {}
    moment = now()
    defaults = {"status": "launched", "created_at_db": moment, "updated_at_db": moment}
    try:
        numbered = enumerate(runs)
    except TypeError:
        raise InvalidValue(f"{runs!r} is no list of runs") from None
    for number, run in numbered:
        try:
            if not isinstance(run, Mapping):
                raise InvalidValue(f"{run!r} is no mapping with a run_id")
            row, of_run = new_run(run, rules, moment)
        except InvalidInput as error:
            raise InvalidValue(f"run number {number}: {error}") from None
        complete = defaults | row
        rows.append(list(map(complete.get, RUN_COLUMNS)))
        if row.get("history_json") is not None:
            histories[row["run_id"]] = row["history_json"]
        for name, about in of_run.items():
            objectives.append([row["run_id"], name, *map(about.get, _OBJECTIVE_REST)])
        if len(rows) == batch:
            yield rows, objectives, histories
            rows, objectives, histories = [], [], {}
    if rows:
        yield rows, objectives, histories


def _from_documents(
    fields: Mapping[str, Any], rules: ExtractionRules, *, is_lenient: bool = False
) -> tuple[dict[str, Any], Objectives]:
    rest = dict(fields)
    config, summary = _taken(rest, _CONFIG_NAMES), _taken(rest, _SUMMARY_NAMES)
    row: dict[str, Any] = {}
    objectives: Objectives = {}
    if config is not None:
        config = as_mapping(config, "config")
        row |= rules.columns(config)
        objectives |= config_objectives(config)
    if summary is not None:
        summary = as_mapping(summary, "summary")
        row |= rules.summary_columns(summary)
        for name, statistics in summary_objectives(summary).items():
            objectives[name] = objectives.get(name, {}) | statistics
    given = checked(RunFields, rest)
    row |= {name: value for name, value in given.items() if value is not None or name not in row}
    if config is not None:
        row["config_json"] = encode(config, "config")
    if summary is not None:
        row["final_metrics_json"] = encode(summary, "summary")
    if is_lenient:
        return row, storable_objectives(objectives)
    check_objectives(objectives)
    return row, objectives


def check_objectives(objectives: Objectives) -> None:
    """Check the names and texts of objectives.

    Raises:
        InvalidValue: A text that cannot be stored.
    """
    for name, about in objectives.items():
        _check_objective(name, *(about.get(column) for column in _OBJECTIVE_TEXTS))


@lru_cache(maxsize=65_536)  # runs of a project have the same objectives
def _check_objective(name: str, *texts: str | None) -> None:
    given = dict(zip(_OBJECTIVE_TEXTS, texts, strict=True)) | {"objective_name": name}
    checked(ObjectiveFields, {key: text for key, text in given.items() if text is not None})


def _taken(fields: dict[str, Any], names: tuple[str, ...]) -> Any:
    """Take a document out of the fields under whichever name it has."""
    given = [value for name in names if (value := fields.pop(name, None)) is not None]
    if len(given) > 1:
        raise InvalidValue(f"one of {', '.join(names)} is enough; they mean the same")
    return given[0] if given else None
