"""Old histories thinned out: what is kept is as it was, and what was reached is not forgotten."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from tests.torture import on_one_backend
from tests.upkeep.filled import contents
from training_db.errors import Conflict, InvalidValue, RunNotFound, UnknownName
from training_db.repository.keeping import Keep
from training_db.segments import Column, column, narrowed
from training_db.upkeep.retention import retain

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.terminal import Answer
    from training_db import TrainingDB

    Cli = Callable[..., Answer]

NOW = timedelta(0)
LENGTH = 5_000
TOTALS = ("run_metrics", "run_history_key_metrics", "metric_names", "training_runs")


@pytest.fixture
def long(db: TrainingDB) -> TrainingDB:
    """A run that two writers logged to, of which the second repeats steps and has a tail."""
    db.runs.insert("long", status="completed")
    rows = np.arange(LENGTH)
    values = np.sin(rows / 7.0)
    values[1_234], values[4_321] = -9.0, 9.0
    db.history.append(
        "long",
        {
            "_step": rows * 10,
            "loss": values,
            "accuracy": (rows % 17).tolist(),
            "eval/QED": [0.5 if row % 100 == 99 else None for row in rows],
            "note": ["x" if row % 1000 == 3 else None for row in rows],
            "odd": [(row, 0.5, float("nan"), "t", 2**70)[row % 5] for row in rows.tolist()],
        },
    )
    db.history.write("long", 11, {"_step": column([20, 30]), "loss": column([5.0, 4.0])}, (0, 2))
    return db


def points(db: TrainingDB, run_id: str = "long") -> dict[str, dict[int, Any]]:
    """Return the values of each metric by their steps."""
    found = db.history.arrays(run_id)[run_id]
    return {
        name: dict(zip(one.x.tolist(), map(repr, one.values.tolist()), strict=True))
        for name, one in found.items()
    }


def tables(db: TrainingDB, *names: str) -> dict[str, list[str]]:
    return {name: rows for name, rows in contents(db.url).items() if name in names}


def test_every_tenth_row_keeps_peaks_ends_and_steps(long: TrainingDB) -> None:
    before, totals = points(long), tables(long, *TOTALS)
    shown = long.history.thin("long", "every:10", dry_run=True)
    assert (points(long), tables(long, *TOTALS)) == (before, totals)
    done = long.history.thin("long", "every:10")
    assert done == shown
    after = points(long)
    assert after.keys() == before.keys()
    assert all(after[name].items() <= before[name].items() for name in before)
    wanted = {row * 10 for row in range(0, LENGTH, 10)} | {12_340, 43_210, (LENGTH - 1) * 10}
    assert wanted <= after["loss"].keys()
    assert after["loss"].keys() == wanted
    assert 20 not in after["loss"]  # nor does what was logged there before come to light again
    assert after["eval/QED"] == before["eval/QED"]
    assert after["note"] == before["note"]
    assert done.cells_after == sum(long.history.counts("long").values())
    assert done.bytes_after < done.bytes_before / 2
    assert tables(long, *TOTALS) == totals


@on_one_backend
def test_a_second_time_changes_nothing(long: TrainingDB) -> None:
    long.history.thin("long", "every:10")
    before = contents(long.url)
    assert not long.history.thin("long", "every:10").is_changed
    assert not long.history.thin("long", "every:5").is_changed
    assert contents(long.url) == before
    (event,) = long.events.list("long", "retention")
    assert event["message"].endswith(
        "values: of every 10 rows the first, and each metric's last, least, greatest"
    )


@on_one_backend
def test_single_metrics_are_kept_whole(long: TrainingDB) -> None:
    before, totals = points(long), tables(long, *TOTALS)
    done = long.history.thin("long", "metrics: note ,eval/QED,none")
    after = points(long)
    assert after == {
        "_step": {
            step: before["_step"][step] for step in sorted({*after["note"], *after["eval/QED"]})
        },
        "eval/QED": before["eval/QED"],
        "note": before["note"],
    }
    assert done.cells_after == sum(map(len, after.values()))
    assert tables(long, *TOTALS) == totals
    assert not long.history.thin("long", "metrics:eval/QED,note").is_changed


@on_one_backend
def test_key_metrics_are_kept_at_fewer_rows(long: TrainingDB) -> None:
    before, totals = points(long), tables(long, *TOTALS)
    long.history.thin("long", "key-metrics")
    after = points(long)
    assert after.keys() == {"_step", "loss"}
    assert after["loss"].items() <= before["loss"].items()
    assert {row * 10 for row in range(250)} <= after["loss"].keys()
    assert 600 < len(after["loss"]) < 1_000
    assert after["_step"].keys() == after["loss"].keys()
    assert tables(long, *TOTALS) == totals
    assert not long.history.thin("long", "key-metrics").is_changed


@on_one_backend
def test_every_reader_reads_what_is_left(long: TrainingDB) -> None:
    long.history.thin("long", "every:100")
    left = long.history.counts("long")
    history = long.history
    assert {
        name: len(one) for name, one in history.arrays("long", duplicates="all")["long"].items()
    } == left
    assert {key["metric"] for key in history.keys("long")} == set(left)
    assert history.arrays("long", "loss", steps=(12_000, 13_000))["long"]["loss"].x.tolist() == [
        12_000, 12_340, 13_000,
    ]  # fmt: skip
    assert len(history.tail("long").series["loss"]) == left["loss"]
    assert history.search("loss", above=8.0)[0]["step"] == 43_210
    assert len(history.downsample("long", "loss", n=10).series["long"]["loss"]) <= 12
    assert set(history.frame("long")["step"]) >= {0, 1_000, 43_210}
    document = json.loads(history.json("long") or "")
    kept = [value for value in document["loss"] if value is not None]
    assert kept[:2] == [0.0, np.sin(100 / 7.0)]
    assert long.metrics.best("loss", mode="min") is not None


@on_one_backend
def test_writers_go_on_where_they_were(long: TrainingDB) -> None:
    ends = {
        writer: long.history.progress("long", writer) for writer in long.history.writers("long")
    }
    long.history.thin("long", "metrics:note")
    assert {
        writer: long.history.progress("long", writer) for writer in long.history.writers("long")
    } == ends
    again = {"_step": column([20, 30]), "loss": column([5.0, 4.0])}
    assert long.history.write("long", 11, again, (0, 2)) == 2
    assert "loss" not in long.history.counts("long")
    long.history.write("long", 11, {"loss": Column(np.array([2]), np.array([3.0]))}, (2, 3))
    assert long.history.counts("long")["loss"] == 1
    assert {one["metric"]: one for one in long.metrics.of("long")}["loss"]["count"] == LENGTH + 3


@pytest.mark.parametrize(
    "history",
    [
        {"a": [1, None, 3, 4], "b": [1.5], "c": "text", "d": []},
        [{"a": 1, "b": {"x": [1]}}, {"a": 2}, {}, {"b": None}],
        {"loss": [2.0, float("nan"), float("inf"), None, 1], "_step": [5, 6, 7, 8, 9]},
    ],
)
@on_one_backend
def test_a_history_that_came_as_one_value_is_read_all_the_same(
    db: TrainingDB, history: Any
) -> None:
    db.runs.insert("one", status="failed", history_json=history)
    before = json.loads(db.history.json("one") or "")
    db.history.thin("one", "every:1")
    assert repr(json.loads(db.history.json("one") or "")) == repr(before)
    db.history.thin("one", "metrics:a")
    left = json.loads(db.history.json("one") or "{}")
    assert {name: left[name] for name in left if name in ("a", "c")} == {
        name: before[name] for name in before if name in ("a", "c")
    }
    assert not {"b", "loss"} & left.keys()


def test_only_runs_that_are_over_are_chosen(db: TrainingDB) -> None:
    for run_id, status in (
        ("done", "completed"), ("failed", "failed"), ("crashed", "crashed"), ("at work", "running"),
        ("launched", "launched"), ("thrown away", "failed"),
    ):  # fmt: skip
        db.runs.insert(run_id, status=status, history_json={"loss": [1.0, 2.0]}, host=run_id)
    db.runs.insert("empty", status="completed")
    db.runs.delete("thrown away")
    chosen = db.history.retainable
    assert chosen(NOW) == ["done", "failed", "crashed"]
    assert chosen(NOW, "host = 'done'") == ["done"]
    assert chosen(NOW, statuses=["failed"]) == ["failed"]
    assert chosen(NOW, statuses=["running", "launched"]) == ["at work", "launched"]
    db.runs.beat("at work")
    assert chosen(NOW, statuses=["running"]) == []
    with pytest.raises(Conflict, match="being logged to"):
        db.history.thin("at work", "every:2")
    db.runs.update("failed", ended_at="2024-01-01")
    assert chosen(timedelta(days=30)) == ["failed"]


@on_one_backend
def test_what_is_no_rule_age_or_status_is_said(db: TrainingDB) -> None:
    db.runs.insert("one", status="failed", history_json={"loss": [1.0]})
    for odd in (
        "",
        "every",
        "every:0",
        "every:-1",
        "every:x",
        "every:²",
        "metrics:",
        "metrics: ,",
        5,
        None,
    ):
        with pytest.raises(InvalidValue, match="key-metrics"):
            db.history.thin("one", odd)  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match="done"):
        db.history.retainable(NOW, statuses=["done"])
    with pytest.raises(InvalidValue, match="timedelta"):
        db.history.retainable("30d")  # type: ignore[arg-type]
    with pytest.raises(InvalidValue, match="before time"):
        db.history.retainable(timedelta.max)
    with pytest.raises(RunNotFound):
        db.history.thin("none", "every:2")


@on_one_backend
def test_the_command_asks_and_does_what_it_showed(long: TrainingDB, cli: Cli) -> None:
    url = long.url.render_as_string(hide_password=False)
    words = ["history", "retention", "--older-than", "0s", "--keep", "every:50", "--url", url]
    before = contents(long.url)
    shown = cli(*words, "--dry-run", "--json")
    assert shown.code == 0
    facts = json.loads(shown.out)
    assert contents(long.url) == before
    refused = cli(*words)
    assert (refused.code, refused.out) == (2, "")
    assert contents(long.url) == before
    done = cli(*words, "--yes", "--json")
    assert json.loads(done.out)["runs"] == facts["runs"]
    assert sum(long.history.counts("long").values()) == facts["runs"][0]["cells_after"]
    again = cli(*words, "--yes")
    assert again.code == 0
    assert "dropped 0 of 0 values" in again.out
    for odd in (["--keep", "all"], ["--older-than", "soon"], ["--status", "done"]):
        assert cli(*words, *odd, "--yes").code == 2


@on_one_backend
def test_a_run_that_goes_meanwhile_is_passed_over(
    long: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long.history, "retainable", lambda *_: ["gone", "long"])
    done = retain(long, "every:10", NOW)
    assert [run.run_id for run in done.runs] == ["long"]


def test_room_is_given_back(db: TrainingDB) -> None:
    db.runs.insert("long", status="completed")
    noise = np.random.default_rng(0).normal(size=200_000)
    db.history.append("long", {"loss": noise})
    done = retain(db, "every:1000", NOW)
    if db.engine.dialect.name == "sqlite":
        assert done.bytes_before - done.bytes_after > 1_000_000
    with db.engine.connect() as connection:
        rows = connection.execute(text("SELECT count(*) FROM run_history_segments")).scalar()
    assert rows == 1


VALUES = st.one_of(
    st.floats(), st.integers(), st.booleans(), st.text(max_size=2), st.none(), st.lists(st.none())
)


@given(
    cells=st.dictionaries(st.integers(0, 60), VALUES, min_size=1),
    every=st.integers(1, 70),
)
def test_what_every_kth_row_keeps(cells: dict[int, Any], every: int) -> None:
    rows = sorted(cells)
    whole = Column(np.array(rows), narrowed([cells[row] for row in rows]))
    rule = Keep.parse(f"every:{every}")
    kept = rule.of("loss", whole)
    taken = kept.rows.tolist()
    assert [repr(value) for value in kept.values.tolist()] == [repr(cells[row]) for row in taken]
    firsts = {
        min(row for row in rows if row // every == group) for group in {r // every for r in rows}
    }
    finite = [
        row
        for row in rows
        if isinstance(cells[row], (int, float)) and abs(as_float(cells[row])) < np.inf
    ]
    peaks = {
        choose(finite, key=lambda row: as_float(cells[row])) for choose in (min, max) if finite
    }
    assert set(taken) == firsts | peaks | {rows[-1]}
    assert rule.of("loss", kept).rows.tolist() == taken


def as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return np.inf
