"""The page of some runs side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training_db.counts import counted
from training_db.report import findings
from training_db.report.document import Page, Section, Table, Text, Tile
from training_db.report.labels import shortened
from training_db.report.pages.chosen_metrics import Chosen, numeric_metrics
from training_db.report.pages.curves import MOST_FIGURES, figure_of, not_drawn, series_of
from training_db.report.pages.naming import labels, marked
from training_db.report.pages.objectives import objective_scores, run_front
from training_db.report.pages.tables import fact_cell, runs_table
from training_db.report.wording import duration, listed, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training_db.database import TrainingDB
    from training_db.report.document import Block, Cell

_MOST_NAMED = 3
_MOST_ROWS = 60  # of a table that is shown unasked
_LONGEST_HEADING = 28
_SECTIONS = {
    "config": "Settings that differ",
    "objective": "Objectives",
    "run": "Facts that differ",
    "summary": "Summary, besides the metrics, where it differs",
    "metric": "Last values of metrics that differ",
}


def comparison_page(db: TrainingDB, run_ids: Sequence[str], title: str | None = None) -> Page:
    """Return the page of some runs side by side: curves, objectives, and where they differ.

    Args:
        db: The database.
        run_ids: The runs, at least two.
        title: The heading; ``None`` for the names of the runs.

    Raises:
        RunNotFound: A run that is not there.
        MissingExtra: A package of the extra ``analysis`` is not installed.

    Example:
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("a"), db.runs.insert("b")
        >>> comparison_page(db, ["a", "b"]).title
        'a · b'
    """
    runs = [db.runs.get(run_id) for run_id in run_ids]
    names = labels(runs)
    among = {"run_id": list(run_ids)}
    found = {run_id: db.analysis.findings(run_id) for run_id in names}
    marks = findings.troubles(runs, found)
    front, best = run_front(db, among, marked(names, marks))
    points = findings.of_runs(found, names)
    if front is not None:
        points = [*findings.of_front(front, names, marks), *points]
    scores = objective_scores(db, run_ids)
    return Page(
        "comparison",
        title or _title(list(names.values())),
        [_span(runs), *_in_common(runs)],
        _tiles(runs),
        [
            Section("Findings", findings.shown(points, "Nothing stands out in any of them.")),
            Section("Runs", [runs_table(runs, names, scores)]),
            Section("Curves", _curves(db, names)),
            Section("Best runs", best),
            Section("Differences", _differences(db, names)),
        ],
    )


def _title(names: Sequence[str]) -> str:
    if len(names) > _MOST_NAMED:
        return f"{len(names)} runs compared"
    return " · ".join(names)


def _span(runs: Sequence[Mapping[str, Any]]) -> str:
    began = sorted(run["created_at"] for run in runs if run["created_at"])
    if not began:
        return counted(len(runs), "run")
    return f"{counted(len(runs), 'run')}, {span(began[0], began[-1])}"


def _in_common(runs: Sequence[Mapping[str, Any]]) -> list[Cell]:
    facts: list[Cell] = []
    for words, key in (("method", "gradient_method"), ("host", "host"), ("group", "group_name")):
        values = {run[key] for run in runs}
        if len(values) == 1 and (only := values.pop()):
            facts.append(f"{words} {only}")
    return facts


def _tiles(runs: Sequence[Mapping[str, Any]]) -> list[Tile]:
    completed = sum(run["status"] == "completed" for run in runs)
    seconds = [run["duration_seconds"] for run in runs if run["duration_seconds"] is not None]
    methods = {run["gradient_method"] for run in runs} - {None}
    return [
        Tile("Runs", len(runs)),
        Tile("Completed", completed, f"of {len(runs)}"),
        Tile("Took in all", duration(sum(seconds) if seconds else None)),
        *([Tile("Methods", len(methods), listed(sorted(methods), 3))] if methods else []),
    ]


def _curves(db: TrainingDB, names: Mapping[str, str]) -> list[Block]:
    run_ids = list(names)
    chosen = Chosen.of(db, run_ids, numeric_metrics(db, run_ids))
    wanted = chosen.titles()
    blocks: list[Block] = [
        figure_of(metric, lines, wanted[metric], names.values())
        for each in list(wanted)[:MOST_FIGURES]  # one at a time, for some are long
        for metric, lines in series_of(db, names, [each]).items()
    ]
    blocks += not_drawn(list(wanted.values())[MOST_FIGURES:])
    return blocks or [Text("None of these runs logged anything that could be drawn.")]


def _differences(db: TrainingDB, names: Mapping[str, str]) -> list[Block]:
    sides = db.analysis.side_by_side(list(names))
    columns = ["Name", *shortened(names.values(), _LONGEST_HEADING)]
    metrics = {row.name for row in sides.rows if row.section == "metric"}
    tables: list[Block] = []
    for section, words in _SECTIONS.items():
        rows: list[list[Cell]] = [
            [row.name, *map(fact_cell, row.values)]
            for row in sides.rows
            if row.section == section and not (section == "summary" and row.name in metrics)
        ]
        if rows:
            is_long = section in ("metric", "summary") or len(rows) > _MOST_ROWS
            caption = f"{words} ({len(rows)})" if is_long else words
            tables.append(Table(caption, columns, rows, folded=is_long))
    return tables or [Text("They differ in nothing but what was drawn above.")]
