"""ExperimentDB against a model of it: whatever is logged is what its tables say."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.conftest import empty
from tests.unit.strategies import SLOW
from training_db import ExperimentDB

if TYPE_CHECKING:
    from training_db import TrainingDB


@dataclass
class Model:
    """What a tracker should know, as plain lists."""

    rows: dict[int, list[tuple[str, float, int, int]]] = field(default_factory=dict)

    def best(self, name: str, sign: int) -> float | None:
        values = [
            sign * value
            for rows in self.rows.values()
            for metric, value, _, _ in rows
            if metric == name and math.isfinite(value)
        ]
        return sign * min(values) if values else None

    def final(self, run: int, name: str) -> float | None:
        points = [
            (step, at) for at, (metric, _, step, _) in enumerate(self.rows[run]) if metric == name
        ]
        return self.rows[run][max(points)[1]][1] if points else None

    def best_epoch(self, run: int) -> int | None:
        points = [
            (value, step, epoch)
            for metric, value, step, epoch in self.rows[run]
            if metric == "val_loss" and math.isfinite(value)
        ]
        return min(points)[2] if points else None


VALUES = st.one_of(st.floats(-1e6, 1e6), st.sampled_from([math.nan, math.inf, -math.inf]))
LOGGED = st.lists(
    st.tuples(
        st.sampled_from([1, 2]),
        st.sampled_from(["train_loss", "val_loss", "grad_norm"]),
        VALUES,
        st.integers(0, 20),
    ),
    max_size=40,
)


@SLOW
@given(logged=LOGGED, reopen_at=st.integers(0, 40))
def test_whatever_is_logged_is_what_is_read(
    both: tuple[TrainingDB, TrainingDB], logged: list[tuple[int, str, float, int]], reopen_at: int
) -> None:
    for db in both:
        empty(db)
        check(db, logged, reopen_at)


def check(db: TrainingDB, logged: list[tuple[int, str, float, int]], reopen_at: int) -> None:
    model = Model()
    with ExperimentDB(db.url) as tracker:
        ids = {number: tracker.log_run(f"run {number}") for number in (1, 2)}
    model.rows = {run: [] for run in ids.values()}
    parts = logged[:reopen_at], logged[reopen_at:]
    for part in parts:  # a tracker that is opened again goes on where the other one ended
        with ExperimentDB(db.url) as tracker:
            for number, name, value, step in part:
                tracker.log_metric(ids[number], name, value, step=step, epoch=step // 4)
                model.rows[ids[number]].append((name, value, step, step // 4))
    with ExperimentDB(db.url) as tracker:
        for run, rows in model.rows.items():
            columns = ["metric_name", "value", "step", "epoch"]
            found = tracker.get_metrics(run)[columns].itertuples(index=False, name=None)
            assert same(list(found), rows)
        table = tracker.compare_runs(list(model.rows)).set_index("run_id")
        for run in model.rows:
            found = table.loc[run]
            assert same(found["final_train_loss"], model.final(run, "train_loss"))
            assert same(found["final_val_loss"], model.final(run, "val_loss"))
            assert same(found["best_epoch"], model.best_epoch(run))
        for mode, sign in (("min", 1), ("max", -1)):
            best = model.best("val_loss", sign)
            if best is not None:
                assert tracker.get_best_run("val_loss", mode)["best_value"] == best


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(map(same, found, expected))
    if expected is None or (isinstance(expected, float) and math.isnan(expected)):
        return bool(pd.isna(found))
    return bool(found == expected)
