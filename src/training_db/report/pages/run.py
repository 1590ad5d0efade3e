"""The page of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training_db.counts import counted
from training_db.report import findings
from training_db.report.document import Figure, Link, Name, Page, Section, Table, Text, Tile
from training_db.report.figures import caption, timeline
from training_db.report.pages.chosen_metrics import Chosen
from training_db.report.pages.curves import MOST_FIGURES, figure_of, series_of, small
from training_db.report.pages.naming import labels, status
from training_db.report.pages.objectives import conflicts, run_objectives, scaffolds
from training_db.report.pages.tables import facts_table, metrics_table
from training_db.report.wording import duration, minute, moment, shortened

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training_db.database import TrainingDB
    from training_db.report.document import Block, Cell
    from training_db.repository.history_series import Series

_AT_ONCE = 16  # metrics that are in memory whole
_MOST_EVENTS = 50
_NOTHING_FOUND = "Nothing stands out: no values that are not finite, no spikes, no plateau."
_FEWEST_TIMED, _MOST_TIMED = 3, 2000


def run_page(db: TrainingDB, run_id: str, title: str | None = None) -> Page:
    """Return the page of one run: what happened, how its curves went, what it was made of.

    Args:
        db: The database.
        run_id: The run.
        title: The heading; ``None`` for the run's name.

    Raises:
        RunNotFound: There is no such run.
        MissingExtra: A package of the extra ``analysis`` is not installed.

    Example:
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("r1", run_name="the first", host="gpu-1")
        >>> page = run_page(db, "r1")
        >>> page.title, page.sections[0].title
        ('the first', 'Findings')
    """
    run = db.runs.get(run_id)
    name = labels([run])[run_id]
    metrics = db.metrics.of(run_id)
    numeric = [one["metric"] for one in metrics if one["count"]]
    chosen = Chosen.of(db, [run_id], numeric)
    series = _series(db, run_id, numeric, chosen)
    sections = [
        Section("Findings", findings.shown(findings.of_run(db, run_id), _NOTHING_FOUND)),
        Section("Curves", _curves(chosen, series, name)),
        Section(
            "Objectives", [*run_objectives(db, run_id, chosen, series), *conflicts(db, run_id)]
        ),
        Section("Scaffolds", scaffolds(db, run_id)),
        Section("Events", _events(db, run_id)),
        Section("Everything else", _rest(db, run, metrics, series)),
    ]
    return Page(
        "run",
        title or (run["run_name"] or "").strip() or run_id,
        _facts(run, db.tags.of(run_id)),
        _tiles(run, metrics),
        [one for one in sections if one.blocks],
        status(run),
    )


def _series(
    db: TrainingDB, run_id: str, metrics: Sequence[str], chosen: Chosen
) -> dict[str, Series]:
    """Return the metrics that are drawn as they are, and of the many others what a word shows."""
    series = {}
    for start in range(0, len(metrics), _AT_ONCE):
        batch = series_of(db, {run_id: run_id}, metrics[start : start + _AT_ONCE])
        for metric, lines in batch.items():
            one = lines[run_id]
            series[metric] = one if metric in chosen.metrics else small(one)
    return series


def _facts(run: Mapping[str, Any], tags: Mapping[str, str | None]) -> list[Cell]:
    facts: list[Cell] = [f"Run {run['number']}"]
    if run["run_name"]:
        facts.append(Name(run["run_id"]))
    for words, key in (("method", "gradient_method"), ("host", "host"), ("group", "group_name")):
        if run[key]:
            facts.append(f"{words} {run[key]}")
    facts.append(f"began {moment(run['started_at'] or run['created_at'])}")
    if run["git_commit"]:
        changed = ", changed" if run["git_dirty"] else ""
        facts.append(f"commit {shortened(run['git_commit'], 12)}{changed}")
    for words, key in (("W&B", "wandb_url"), ("Blog post", "blog_post_url")):
        if run[key]:
            facts.append(Link(words, run[key]))
    facts += [tag if value is None else f"{tag}: {value}" for tag, value in tags.items()]
    return facts


def _tiles(run: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> list[Tile]:
    steps = run["total_training_steps"]
    of = f"of {run['max_steps']:,}" if run["max_steps"] is not None else ""
    points = sum(one["count"] + one["other_count"] for one in metrics)
    lost = sum(one["non_finite_count"] for one in metrics)
    tiles = [
        Tile("Took", duration(run["duration_seconds"])),
        Tile("Steps", steps, of),
        Tile("Final loss", run["final_loss"]),
        Tile("Metrics", len(metrics), f"{counted(points, 'value')}"),
        Tile("Not finite", lost, "of all values"),
    ]
    return [one for one in tiles if one.value is not None]


def _curves(chosen: Chosen, series: Mapping[str, Series], name: str) -> list[Block]:
    shown = [metric for metric in chosen.metrics if metric in series][:MOST_FIGURES]
    blocks: list[Block] = [figure_of(metric, {name: series[metric]}) for metric in shown]
    return blocks or [Text("Nothing was logged that could be drawn.")]


def _events(db: TrainingDB, run_id: str) -> list[Block]:
    events = db.events.list(run_id, limit=_MOST_TIMED)
    if not events:
        return []
    drawn = timeline(events)
    rows: list[list[Cell]] = [
        [minute(one["happened_at"]), one["kind"], one["message"]] for one in events[-_MOST_EVENTS:]
    ]
    more = len(events) - len(rows)
    note = f"The newest {len(rows)} of {counted(len(events), 'event')}." if more else ""
    timed = [Figure("What happened, and when", drawn, caption(drawn), is_wide=True)]
    return [
        *(timed if len(events) >= _FEWEST_TIMED else []),
        Table("Events", ["When (UTC)", "What", "In words"], rows, note, folded=len(rows) > 12),
    ]


def _rest(
    db: TrainingDB,
    run: Mapping[str, Any],
    metrics: Sequence[Mapping[str, Any]],
    series: Mapping[str, Series],
) -> list[Block]:
    blocks: list[Block] = []
    if run["notes"]:
        blocks.append(Text(run["notes"]))
    if metrics:
        blocks.append(metrics_table(metrics, series, f"All {counted(len(metrics), 'metric')}"))
    facts: dict[str, dict[str, Any]] = {"run": {}, "config": {}, "summary": {}}
    known = {one["metric"] for one in metrics}
    for row in db.analysis.side_by_side([run["run_id"]], everything=True).rows:
        is_metric = row.section == "summary" and row.name in known
        if row.section in facts and row.values[0] is not None and not is_metric:
            facts[row.section][row.name] = row.values[0]
    for words, section in (
        ("Config", "config"), ("Summary, besides the metrics", "summary"), ("Facts", "run"),
    ):  # fmt: skip
        if facts[section]:
            blocks.append(facts_table(words, facts[section], folded=True))
    artifacts = db.artifacts.list(run["run_id"])
    if artifacts:
        rows: list[list[Cell]] = [
            [one["artifact_type"], Name(one["filepath"])] for one in artifacts
        ]
        blocks.append(Table("Artifacts", ["Kind", "Where"], rows, folded=True))
    return blocks
