"""Where runs crash, on both backends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from scipy import stats

from training_db.errors import InvalidValue, UnknownName

if TYPE_CHECKING:
    from training_db import TrainingDB


@pytest.fixture
def cluster(db: TrainingDB) -> TrainingDB:
    """Two hosts, of which one crashes most of what it runs."""
    for host, endings in {"good": "c" + 11 * ".", "bad": "fcccccccc..."}.items():
        statuses = [{"c": "crashed", "f": "failed", ".": "completed"}[one] for one in endings]
        db.runs.insert_many(
            {
                "run_id": f"{host}-{number}",
                "host": host,
                "status": status,
                "gradient_method": "mgda",
            }
            for number, status in enumerate(statuses)
        )
    db.runs.insert("at work", host="bad", status="running", gradient_method="mgda")
    return db


def test_a_host_that_crashes_more_than_the_others_stands_out(cluster: TrainingDB) -> None:
    bad, good = cluster.analysis.crashes(by="host").by["host"]
    assert (bad.value, bad.runs, bad.ended, bad.crashed, bad.failed) == ("bad", 13, 12, 8, 1)
    assert bad.rate == 0.75
    assert bad.low == pytest.approx(0.4677, abs=1e-4)
    assert bad.high == pytest.approx(0.9111, abs=1e-4)
    expected = stats.fisher_exact([[9, 3], [1, 11]]).pvalue
    assert bad.p_value == good.p_value == pytest.approx(expected)  # one test, asked twice
    assert bad.verdict == good.verdict == "more than noise"
    assert (good.rate, good.crashed) == (pytest.approx(1 / 12), 1)


def test_more_hosts_are_adjusted_for_their_number(cluster: TrainingDB) -> None:
    cluster.runs.insert_many(
        {"run_id": f"idle-{number}", "host": "idle", "status": "completed"} for number in range(8)
    )
    groups = cluster.analysis.crashes(by="host").by["host"]
    tables = {"bad": [[9, 3], [1, 19]], "good": [[1, 11], [9, 11]], "idle": [[0, 8], [10, 14]]}
    raw = sorted((stats.fisher_exact(table).pvalue, name) for name, table in tables.items())
    assert raw[0][1] == "bad"
    assert next(one for one in groups if one.value == "bad").p_value == pytest.approx(3 * raw[0][0])


def test_without_a_choice_crashes_are_told_by_method_and_host(cluster: TrainingDB) -> None:
    found = cluster.analysis.crashes()
    assert list(found.by) == ["gradient_method", "host"]
    (mgda,) = found.by["gradient_method"]
    assert (mgda.ended, mgda.p_value, mgda.verdict) == (24, None, "too few runs to tell")
    json.dumps(found.as_dict())


def test_alike_rates_are_no_more_than_noise(db: TrainingDB) -> None:
    for number in range(40):
        status = "crashed" if number % 4 == 0 else "completed"
        db.runs.insert(f"r{number}", host=f"gpu-{number // 20}", status=status)
    db.runs.insert("alone", host="gpu-9", status="crashed")
    verdicts = {one.value: one.verdict for one in db.analysis.crashes(by="host").by["host"]}
    assert verdicts["gpu-0"] == verdicts["gpu-1"] == "no more than noise"


def test_a_single_run_is_too_few_to_tell(db: TrainingDB) -> None:
    db.runs.insert("a", host="gpu-1", status="crashed")
    db.runs.insert("b", host="gpu-2", status="completed")
    db.runs.insert("c", host="gpu-3")
    groups = db.analysis.crashes(by=["host"]).by["host"]
    assert {one.verdict for one in groups} == {"too few runs to tell"}
    waiting = next(one for one in groups if one.value == "gpu-3")
    assert (waiting.ended, waiting.rate, waiting.low, waiting.p_value) == (0, None, None, None)


def test_the_most_common_error_is_that_of_most_runs(db: TrainingDB) -> None:
    errors = {
        "a": ["CUDA out of memory: 2.00 GiB\ntrace one"],
        "b": ["CUDA out of memory: 3.5 GiB\nelse"],
        "c": ["CUDA out of memory: 3.5 GiB"],
        "d": [f"lost connection to rank {rank}" for rank in range(5)],
        "e": ["lost connection to rank 0"],
    }
    for run_id, messages in errors.items():
        db.runs.insert(run_id, host="gpu-1", status="crashed")
        for message in messages:
            db.events.add(run_id, "error", message)
        db.events.add(run_id, "note", "not an error")
    for number in range(4):
        db.runs.insert(f"fine {number}", host="gpu-1", status="completed")
        db.events.add(f"fine {number}", "error", "survived")
    (group,) = db.analysis.crashes(by="host").by["host"]
    assert (group.error, group.error_runs) == ("CUDA out of memory: 3.5 GiB", 3)


def test_the_last_step_is_the_median_of_those_reached(db: TrainingDB) -> None:
    for run_id, steps in {"a": 3, "b": 5, "c": 100}.items():
        db.runs.insert(run_id, host="gpu-1", status="completed" if run_id == "c" else "crashed")
        db.history.append(run_id, {"loss": [1.0] * steps, "early": [1.0]})
    db.runs.insert("silent", host="gpu-1", status="failed")
    db.runs.insert("other", host="gpu-2", status="crashed")
    first, second = db.analysis.crashes(by="host").by["host"]
    assert (first.value, first.last_step, first.error, first.error_runs) == ("gpu-1", 3.0, None, 0)
    assert second.last_step is None


def test_only_runs_that_match_are_told_of(cluster: TrainingDB) -> None:
    cluster.events.add("bad-1", "error", "boom")
    cluster.runs.delete("bad-1")
    (bad,) = cluster.analysis.crashes("host = 'bad'", by="host").by["host"]
    assert (bad.crashed, bad.error) == (7, None)
    assert cluster.analysis.crashes("host = 'none'", by="host").by == {"host": ()}


def test_odd_questions_are_errors_of_ours(db: TrainingDB) -> None:
    with pytest.raises(UnknownName):
        db.analysis.crashes(by="hosts")
    with pytest.raises(InvalidValue, match="confidence"):
        db.analysis.crashes(confidence=2.0)


def test_two_runs_of_each_of_four_methods_are_too_few_to_tell(db: TrainingDB) -> None:
    for number in range(8):
        db.runs.insert(f"r{number}", host=f"gpu-{number // 2}", status="completed")
    groups = db.analysis.crashes(by="host").by["host"]
    assert {one.verdict for one in groups} == {"too few runs to tell"}
