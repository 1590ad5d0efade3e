"""The page of many runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training_db.counts import counted
from training_db.report import findings
from training_db.report.document import Page, Point, Section, Text, Tile
from training_db.report.pages.chosen_metrics import Chosen, numeric_metrics
from training_db.report.pages.crashes import crash_blocks, crash_points
from training_db.report.pages.curves import not_drawn
from training_db.report.pages.methods import band_figures, group_points, groups_table
from training_db.report.pages.naming import labels, marked
from training_db.report.pages.objectives import (
    MOST_OBJECTIVES,
    objective_names,
    objective_scores,
    run_front,
)
from training_db.report.pages.settings import (
    parallel,
    sensitivities,
    setting_blocks,
    setting_points,
)
from training_db.report.pages.tables import runs_table
from training_db.report.wording import duration, listed, share, span

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training_db.database import TrainingDB
    from training_db.report.document import Block, Cell

_LISTED = 50
_LOOKED_AT = 100  # runs whose curves are looked at one by one
_AVERAGED = 500  # runs whose curves are averaged
_TARGETS = 3
_CURVES = 6


def project_page(db: TrainingDB, filters: Any = None, title: str | None = None) -> Page:
    """Return the page of many runs: methods, best runs, what matters, what crashed.

    Args:
        db: The database.
        filters: Which runs, as for ``db.runs.query``.
        title: The heading; ``None`` for ``"Training runs"``.

    Raises:
        InvalidInput: A filter that cannot be used.
        MissingExtra: A package of the extra ``analysis`` is not installed.

    Example:
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("a"), db.runs.insert("b", status="failed")
        >>> [tile.value for tile in project_page(db).tiles][:2]
        [2, 0]
    """
    overview = db.statistics.overview(filters)
    newest = db.runs.query(filters, limit=_LOOKED_AT)
    names = labels(newest)
    objectives = objective_names(db, filters)[:MOST_OBJECTIVES]
    total = overview["total_runs"]
    groups = db.analysis.groups("gradient_method", objectives, filters)
    crashes = db.analysis.crashes(filters)
    matters = sensitivities(db, objectives[:_TARGETS], filters)
    scores = objective_scores(db, [run["run_id"] for run in newest])
    found = {run_id: db.analysis.findings(run_id) for run_id in names}
    marks = findings.troubles(newest, found)
    front, best = run_front(db, filters, marked(names, marks))
    lines = []
    if objectives:
        first = {run_id: scores[run_id].get(objectives[0]) for run_id in scores}
        lines = parallel(matters[:1], newest, first, objectives[0], names, total)
    points = [
        *([] if front is None else findings.of_front(front, names, marks)),
        *group_points(groups),
        *setting_points(matters),
        *crash_points(crashes),
        *findings.of_runs(found, names),
        *_unposted(db, filters, total),
    ]
    only_newest = _only("Looked at one by one were the curves of", len(newest), total)
    return Page(
        "project",
        title or "Training runs",
        _facts(overview),
        _tiles(overview, newest),
        [
            Section("Findings", [*findings.shown(points, "Nothing stands out."), *only_newest]),
            Section("Methods", [groups_table(groups), *_bands(db, filters, newest, total)]),
            Section("Best runs", best),
            Section("What matters", [*setting_blocks(matters), *lines]),
            Section("Crashes", crash_blocks(crashes)),
            Section("Runs", [runs_table(newest[:_LISTED], names, scores, total)]),
        ],
    )


def _facts(overview: Mapping[str, Any]) -> list[Cell]:
    facts: list[Cell] = []
    if overview["first_created_at"]:
        facts.append(span(overview["first_created_at"], overview["last_created_at"]))
    hosts = [host for host in overview["by_host"] if host is not None]
    if hosts:
        facts.append(f"on {listed(hosts)}")
    return facts


def _tiles(overview: Mapping[str, Any], newest: Sequence[Mapping[str, Any]]) -> list[Tile]:
    total, by = overview["total_runs"], overview["by_status"]
    completed = by.get("completed", 0)
    broken = by.get("failed", 0) + by.get("crashed", 0)
    going = by.get("running", 0) + by.get("launched", 0)
    seconds = 3600 * overview["total_hours"]
    # The sum is 0 also where no run has a duration.
    is_known = seconds > 0 or any(run["duration_seconds"] is not None for run in newest)
    return [
        Tile("Runs", total, f"{going:,} not ended" if going else ""),
        Tile("Completed", completed, share(completed / total) if total else ""),
        Tile("Crashed or failed", broken, share(broken / total) if total else ""),
        Tile("Took in all", duration(seconds if is_known else None)),
        *([Tile("Scaffolds", scaffolds)] if (scaffolds := overview["total_scaffolds"]) else []),
    ]


def _bands(
    db: TrainingDB, filters: Any, newest: Sequence[Mapping[str, Any]], total: int
) -> list[Block]:
    run_ids = [run["run_id"] for run in newest[:_LISTED]]
    chosen = Chosen.of(db, run_ids, numeric_metrics(db, run_ids))
    titles = chosen.titles()
    latest = [run["run_id"] for run in db.runs.query(filters, limit=_AVERAGED)]
    drawn = band_figures(db, {"run_id": latest}, dict(list(titles.items())[:_CURVES]))
    if not drawn:
        return []
    return [
        *drawn,
        *_only("Averaged are the curves of", len(latest), total),
        *not_drawn(list(titles.values())[_CURVES:]),
    ]


def _only(words: str, count: int, total: int) -> list[Block]:
    """Say which runs something is about where it is not about all."""
    return [Text(f"{words} the newest {count:,} of {total:,} runs.")] if count < total else []


def _unposted(db: TrainingDB, filters: Any, total: int) -> list[Point]:
    count = len(db.analysis.without_blog_post(filters))
    if count in (0, total):  # where nobody writes any, nobody misses one
        return []
    return [Point("info", f"{counted(count, 'run')} of {total:,} have no blog post.")]
