"""Detection in 1,000 runs, Pareto ranks of 100,000 scaffolds, and groups of 100,000 runs.

By hand is what people write in a notebook: changepoints by ruptures' own example and pandas'
rolling windows, fronts that numpy peels off one by one, and a DataFrame of all runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.comparison import Comparison
from benchmarks.databases import bare, fresh
from benchmarks.runs import METHODS, START, STATUSES
from benchmarks.timing import Timing, timed_in_turns
from training_db import TrainingDB
from training_db.analysis.fronts.pareto import pareto_ranks
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RUNS, POINTS = 1_000, 1_000
BY_HAND = 20  # of these runs, that are looked at by hand; the time is that of all of them
SCAFFOLDS, OBJECTIVES = 100_000, ("QED", "SA", "affinity", "novelty")
DIRECTIONS = dict(zip(OBJECTIVES, ("maximize", "minimize", "minimize", "maximize"), strict=True))
PEELED = 5_000  # scaffolds that are ranked by hand: 100,000 take longer than anybody waits
GROUPED = 100_000


def time_analysis(backend: str, server_url: str) -> Iterator[Comparison]:
    """Time the three, each in a database of its own."""
    for what, parts in (
        ("detection", time_detection),
        ("scaffolds", time_scaffolds),
        ("groups", time_groups),
    ):
        with fresh(backend, server_url, f"analysis_{what}") as url:
            upgrade(url)
            with TrainingDB(url) as db:
                yield from parts(db, backend)


def time_detection(db: TrainingDB, backend: str) -> Iterator[Comparison]:
    """Time plateaus and instabilities of 1,000 curves, read from the database."""
    _load_curves(db)

    def ours() -> None:
        db.analysis.plateaus("loss")
        db.analysis.instabilities("loss")

    def by_hand() -> None:
        run_ids = db.runs.ids()[:BY_HAND]
        for history in db.history.arrays(run_ids, "loss").values():
            _look_by_hand(history["loss"].values)

    plateaus, instabilities, both, hand = timed_in_turns(
        lambda: db.analysis.plateaus("loss"),
        lambda: db.analysis.instabilities("loss"),
        ours,
        by_hand,
    )
    what = f"over {RUNS:,} runs x {POINTS:,} points, {backend}"
    others = {"by hand": hand.median * RUNS / BY_HAND}
    yield _seconds(f"plateaus {what}", plateaus)
    yield _seconds(f"instabilities {what}", instabilities)
    yield _seconds(f"both {what}", both, others, at_most=3.0)


def _load_curves(db: TrainingDB) -> None:
    chance = np.random.default_rng(0)
    steps = np.arange(POINTS)
    db.runs.insert_many({"run_id": f"run-{number:04}"} for number in range(RUNS))
    for number in range(RUNS):
        fall = np.exp(-steps / chance.uniform(50, 2_000))
        loss = fall + chance.uniform(0.005, 0.1) * chance.standard_normal(POINTS)
        loss[chance.integers(0, POINTS, number % 4)] *= 20
        if number % 10 == 0:
            loss[-20:] = np.nan
        db.history.append(f"run-{number:04}", {"loss": loss})


def _look_by_hand(values: Floats) -> tuple[list[int], int]:
    import pandas as pd
    import ruptures

    series = pd.Series(values[np.isfinite(values)])
    bounds = ruptures.Pelt(model="l2", jump=5).fit(series.to_numpy()).predict(pen=1)
    rolling = series.rolling(51, center=True, min_periods=1)
    middle = rolling.median()
    off = (series - middle).abs()
    spread = off.rolling(51, center=True, min_periods=1).median()
    return bounds, int((off > 8 * 1.4826 * spread).sum())


def time_scaffolds(db: TrainingDB, backend: str) -> Iterator[Comparison]:
    """Time the ranks of 100,000 scaffolds: of arrays, with reading, and with saving."""
    scores = np.random.default_rng(0).random((SCAFFOLDS, len(OBJECTIVES)))
    directions = tuple(DIRECTIONS.values())
    (ranks,) = timed_in_turns(lambda: pareto_ranks(scores, directions))
    few, hand = timed_in_turns(
        lambda: pareto_ranks(scores[:PEELED], directions), lambda: _peeled(scores[:PEELED])
    )
    what = f"{SCAFFOLDS:,} scaffolds x {len(OBJECTIVES)}"
    if backend == "SQLite":  # arrays know no database
        yield _seconds(f"Pareto ranks of {what}", ranks, at_most=2.0)
        others = {"by hand": hand.median}
        yield _seconds(f"Pareto ranks of {PEELED:,} x {len(OBJECTIVES)}", few, others)
    db.runs.insert("run-1")
    rows = [dict(zip(OBJECTIVES, row, strict=True)) for row in scores.tolist()]
    db.scaffolds.insert(
        "run-1",
        [{"scaffold_id": f"s{number}", "scores": row} for number, row in enumerate(rows)],
    )
    connection = bare(db.url)
    if not hasattr(connection, "create_function"):  # psycopg
        connection.autocommit = True

    def without_ranks() -> None:
        connection.execute("UPDATE run_scaffolds SET pareto_rank = NULL")

    read, saved = timed_in_turns(
        lambda _: db.analysis.scaffold_pareto(DIRECTIONS, run_id="run-1", save=False),
        lambda _: db.analysis.scaffold_pareto(DIRECTIONS, run_id="run-1", save=True),
        given=without_ranks,
    )
    connection.close()
    yield _seconds(f"{what}: read and ranked, {backend}", read)
    yield _seconds(f"{what}: read, ranked and saved, {backend}", saved)


def _peeled(scores: Floats) -> NDArray[np.int64]:
    """Rank by taking the front off what is left, again and again."""
    costs = scores * [-1, 1, 1, -1]
    ranks = np.zeros(len(costs), dtype=np.int64)
    left, rank = np.arange(len(costs)), 0
    while len(left):
        rank += 1
        is_best = np.ones(len(left), dtype=bool)
        for index, one in enumerate(costs[left]):
            if is_best[index]:
                is_better = (costs[left[is_best]] < one).any(axis=1)
                is_better |= (costs[left[is_best]] == one).all(axis=1)
                is_best[is_best] = is_better
        ranks[left[is_best]] = rank
        left = left[~is_best]
    return ranks


def time_groups(db: TrainingDB, backend: str) -> Iterator[Comparison]:
    """Time the comparison of 100,000 runs by their method."""
    _load_runs(db)
    connection = bare(db.url)

    def by_hand() -> Any:
        return _grouped_by_hand(connection)

    counts, objective, hand = timed_in_turns(
        lambda: db.analysis.groups("gradient_method", objectives=[]),
        lambda: db.analysis.groups("gradient_method", objectives=["QED"]),
        by_hand,
    )
    connection.close()
    what = f"{GROUPED:,} runs by method, {backend}"
    others = {"by hand": hand.median}
    yield _seconds(f"{what}: counts, success, duration", counts, at_most=0.5)
    yield _seconds(f"{what}: and an objective with its test", objective, others, at_most=0.5)


def _load_runs(db: TrainingDB) -> None:
    chance = np.random.default_rng(0)
    numbers = chance.random((GROUPED, 2)).tolist()
    db.runs.insert_many(
        {
            "run_id": f"run-{number:06}",
            "status": STATUSES[int(one * len(STATUSES))],
            "created_at": START,
            "duration_seconds": int(3_600 * other),
            "config": {"gradient_method": METHODS[number % len(METHODS)], "seed": number},
            "summary": {"objectives/QED_maximize/raw_mean": other},
        }
        for number, (one, other) in enumerate(numbers)
    )
    connection = bare(db.url)
    if db.engine.dialect.name == "postgresql":
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")  # what it does by itself a little later
    else:
        connection.execute("ANALYZE")
    connection.close()


def _grouped_by_hand(connection: Any) -> Any:
    """Fetch all runs with their objective into a DataFrame, and compare them there."""
    import pandas as pd
    from scipy.stats import kruskal

    cursor = connection.execute(
        "SELECT r.gradient_method, r.status, r.duration_seconds, o.raw_mean FROM training_runs r "
        "LEFT JOIN run_objectives o ON o.run_id = r.run_id AND o.objective_name = 'QED' "
        "WHERE r.deleted_at IS NULL"
    )
    names = [column[0] for column in cursor.description]
    frame = pd.DataFrame(cursor.fetchall(), columns=names)
    groups = frame.groupby("gradient_method")
    groups.agg({"status": "count", "duration_seconds": "mean", "raw_mean": ["mean", "sem"]})
    return kruskal(*(group["raw_mean"].dropna() for _, group in groups))


def _seconds(
    what: str,
    taken: Timing,
    others: dict[str, float | str] | None = None,
    at_most: float | None = None,
) -> Comparison:
    return Comparison(what, "s", taken.median, others or {}, at_most=at_most, spread=taken.noise)
