"""Tables that several pages have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from training_db.counts import counted
from training_db.report.document import Link, Name, Spark, Table
from training_db.report.html import is_web
from training_db.report.pages.naming import status
from training_db.report.wording import duration, minute, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training_db.report.document import Cell
    from training_db.repository.history_series import Series

_MOST_OBJECTIVES = 6


def runs_table(
    runs: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str],
    objectives: Mapping[str, Mapping[str, float | None]],
    total: int | None = None,
) -> Table:
    """Return a table of runs, without the columns that are empty in all of them.

    Args:
        runs: As ``db.runs.query`` returns them.
        labels: For each run what it is called.
        objectives: For each run its objectives' raw means, by name.
        total: How many runs there are, if not all are in the table.
    """
    names = list(dict.fromkeys(name for scores in objectives.values() for name in scores))
    rows: list[dict[str, Cell]] = [
        {
            "Run": labels[run["run_id"]],
            "No.": run["number"],
            "Status": status(run),
            "Method": run["gradient_method"],
            "Host": run["host"],
            "Began (UTC)": minute(run["started_at"] or run["created_at"]),
            "Took": _took(run["duration_seconds"]),
            "Final loss": run["final_loss"],
        }
        | {name: objectives.get(run["run_id"], {}).get(name) for name in names[:_MOST_OBJECTIVES]}
        for run in runs
    ]
    notes = []
    if total is not None and total > len(runs):
        notes.append(f"The newest {len(runs)} of {counted(total, 'run')}.")
    if len(names) > _MOST_OBJECTIVES:
        notes.append(f"{counted(len(names) - _MOST_OBJECTIVES, 'more objective')} not shown.")
    return without_empty("Runs", rows, " ".join(notes))


def objectives_table(
    objectives: Sequence[Mapping[str, Any]], curves: Mapping[str, Series]
) -> Table:
    """Return a table of what the objectives of one run came to.

    Args:
        objectives: As ``db.objectives.of_run`` returns them.
        curves: For each objective that has one, its curve.
    """
    rows: list[dict[str, Cell]] = [
        {
            "Objective": one["objective_name"],
            "Direction": one["direction"],
            "Curve": _spark(curves, one["objective_name"]),
            "Raw mean": one["raw_mean"],
            "Raw std": one["raw_std"],
            "Normalised": one["normalized_mean"],
            "Norm. std": one["normalized_std"],
            "Weight": one["weight"],
        }
        for one in objectives
    ]
    aliases = [
        f"{one['objective_name']}: {one['objective_alias']}."
        for one in objectives
        if one["objective_alias"] and one["objective_alias"] != one["objective_name"]
    ]
    return without_empty("What the objectives came to", rows, " ".join(aliases))


def metrics_table(
    metrics: Sequence[Mapping[str, Any]], curves: Mapping[str, Series], caption: str
) -> Table:
    """Return a table of what the metrics of one run came to.

    Args:
        metrics: As ``db.metrics.of`` returns them.
        curves: For each metric its curve.
        caption: What the table is called.
    """
    rows: list[dict[str, Cell]] = [
        {
            "Metric": Name(one["metric"]),
            "Curve": _spark(curves, one["metric"]),
            "Last": one["last"],
            "Lowest": one["min"],
            "Lowest at": one["min_step"],
            "Highest": one["max"],
            "Highest at": one["max_step"],
            "Mean": one["mean"],
            "Values": one["count"] + one["other_count"],
            "Not finite": one["non_finite_count"] or None,
        }
        for one in metrics
    ]
    return replace(without_empty(caption, rows), folded=True)


def without_empty(caption: str, rows: Sequence[Mapping[str, Cell]], note: str = "") -> Table:
    """Return a table without the columns in which no row has anything.

    Args:
        caption: What it shows.
        rows: For each row its cells, by column.
        note: What is said beneath it.
    """
    names = rows[0] if rows else ()
    columns = [name for name in names if any(row[name] is not None for row in rows)]
    return Table(caption, columns, [[row[name] for name in columns] for row in rows], note)


def _spark(curves: Mapping[str, Series], name: str) -> Spark | None:
    return Spark(curves[name].values) if name in curves else None


def _took(seconds: float | None) -> str | None:
    return None if seconds is None else duration(seconds)


def facts_table(caption: str, facts: Mapping[str, Any], *, folded: bool = False) -> Table:
    """Return names and values as a table; an address on the web leads there."""
    rows: list[list[Cell]] = [[Name(name), fact_cell(value)] for name, value in facts.items()]
    return Table(caption, ["Name", "Value"], rows, folded=folded)


def fact_cell(value: Any) -> Cell:
    """Return any value of a config or a summary as a cell."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return Link(shortened(text), text) if is_web(text) else text
