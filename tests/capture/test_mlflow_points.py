"""Points of MLflow become rows: each stands in one cell, in the same one each time."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.strategies import QUICK
from training_db.capture.mlflow.points import arranged

if TYPE_CHECKING:
    from random import Random

    import pytest

    from training_db.capture.captured import RowBatch
    from training_db.capture.mlflow.points import Points


def test_rows_stay_whole_where_batches_end(monkeypatch: pytest.MonkeyPatch) -> None:
    from training_db.capture.mlflow import points as mlflow_points

    points = scattered(1_000)
    (whole,) = points.batches()
    monkeypatch.setattr(mlflow_points, "BATCH_POINTS", 7)
    parts = list(points.batches())
    assert len(parts) > 50
    assert [part.rows[0] for part in parts[1:]] == [part.rows[1] for part in parts[:-1]]
    assert gathered(parts) == gathered([whole])
    assert Counter({name: len(found) for name, found in gathered(parts).items()}) == Counter(
        points.counts()
    )
    later = list(points.batches(parts[3].rows[0]))
    assert gathered(later) == gathered(parts[3:])


KEYS = ["c", "a", "b"]
POINT = st.tuples(
    st.integers(0, 2), st.sampled_from([0.5, 1.0, math.nan]), st.integers(0, 3), st.integers(0, 3)
)


def rows_of(points: list[tuple[int, float, int, int]]) -> Points:
    metrics, values, milliseconds, steps = np.array(points, dtype=float).reshape(-1, 4).T
    whole = (one.astype(np.int64) for one in (milliseconds, steps))
    return arranged(KEYS, metrics.astype(np.int32), values, *whole)


@QUICK
@given(st.lists(POINT), st.randoms())
def test_each_point_stands_in_one_cell_whatever_their_order(
    points: list[tuple[int, float, int, int]], random: Random
) -> None:
    found = rows_of(points)
    batches = list(found.batches())
    assert Counter(map(repr, points)) == Counter(map(repr, told_by(batches)))
    shuffled = random.sample(points, len(points))
    assert rows_of(shuffled).digest(found.row_count) == found.digest(found.row_count)


@QUICK
@given(st.lists(POINT), st.lists(POINT, min_size=1))
def test_a_digest_tells_whether_points_came_in_between(
    points: list[tuple[int, float, int, int]], more: list[tuple[int, float, int, int]]
) -> None:
    before, rows = rows_of(points), rows_of(points).row_count
    later = [(metric, value, time + 10, step) for metric, value, time, step in more]
    assert rows_of(points + later).digest(rows) == before.digest(rows)
    if points:
        earlier = [(metric, value, time - 10, step) for metric, value, time, step in more]
        assert rows_of(points + earlier).digest(rows) != before.digest(rows)


def told_by(batches: list[RowBatch]) -> list[tuple[int, float, int, int]]:
    found = gathered(batches)
    steps, times = dict(found.pop("_step", [])), dict(found.pop("_timestamp", []))
    return [
        (KEYS.index(name), value, round(times[row] * 1000), int(steps[row]))
        for name, column in found.items()
        for row, value in column
    ]


def scattered(count: int) -> Points:
    random = np.random.default_rng(7)
    return arranged(
        KEYS,
        random.integers(0, 3, count).astype(np.int32),
        random.normal(size=count),
        random.integers(0, 40, count),
        random.integers(0, 5, count),
    )


def gathered(batches: list[RowBatch]) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, list[tuple[int, float]]] = {}
    for batch in batches:
        for name, column in batch.columns.items():
            pairs = zip(column.rows.tolist(), column.values.tolist(), strict=True)
            found.setdefault(name, []).extend(pairs)
    return found
