"""RunStore: runs of other tools in the database, whole, once, and whatever the order."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event

from training_db.capture.captured import CapturedArtifact, CapturedEvent, CapturedRun, RowBatch
from training_db.capture.storing.run_store import RunStore
from training_db.documents import decode
from training_db.models.run import RunStatus
from training_db.repository.writers import known_writer, new_writer
from training_db.segments import column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training_db import TrainingDB

BEGAN = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def run(number: int = 0, **fields: Any) -> CapturedRun:
    """Return the n-th file of the run ``3ojed7lz``, which began n hours after the first."""
    began = BEGAN + timedelta(hours=number)
    ended = began + timedelta(minutes=30)
    given = {
        "source": "wandb-offline", "source_id": "3ojed7lz", "wandb_run_id": "3ojed7lz",
        "writer": known_writer(int(began.timestamp() * 1000), str(number)),
        "started_at": began, "ended_at": ended, "runtime_seconds": 1800.0, "exit_code": 0,
        "status": RunStatus.COMPLETED, "config": {"lr": 0.1, "seed": 1},
        "summary": {"loss": 1.0 - number / 10}, "project": "p",
    }  # fmt: skip
    return CapturedRun(**(given | fields))


def rows(start: int, stop: int, **more: list[Any]) -> RowBatch:
    steps = list(range(start, stop))
    values = {"_step": steps, "_timestamp": [1.7e9 + one for one in steps]}
    values["loss"] = [1 / (1 + one) for one in steps]
    return RowBatch(
        {name: column(cells, start) for name, cells in (values | more).items()}, (start, stop)
    )


def imported(db: TrainingDB, captured: CapturedRun, *batches: RowBatch) -> RunStore:
    store = RunStore(db, captured)
    for batch in batches:
        store.write(batch)
    store.finish(captured)
    return store


def dump(db: TrainingDB) -> Any:
    """Return everything that the database has, but for when it was written."""
    found = []
    for one in db.runs.query("created_at is missing or not created_at is missing", limit=None):
        run_id = one["run_id"]
        history = db.history.arrays(run_id, duplicates="all")[run_id]
        found.append(
            (
                {name: value for name, value in one.items() if name not in ("stale", "number")},
                db.tags.of(run_id),
                db.events.list(run_id, limit=None),
                [(one["artifact_type"], one["filepath"]) for one in db.artifacts.list(run_id)],
                {name: (s.x.tolist(), s.values.tolist()) for name, s in history.items()},
                db.history.keys(run_id),
            )
        )
    return found


def test_an_import_again_changes_nothing_at_all(db: TrainingDB) -> None:
    captured = run(
        tags=["good"], notes="n", events=[CapturedEvent("alert:1", "alert", "hot")],
        artifacts=[CapturedArtifact("model", "m.pt")],
    )  # fmt: skip
    imported(db, captured, rows(0, 5), rows(5, 9))
    before = dump(db)
    store = imported(db, captured, rows(0, 9))
    assert dump(db) == before
    assert (store.first_row, store.new_rows) == (9, 0)


def test_a_grown_file_adds_only_what_is_new(db: TrainingDB) -> None:
    half = run(exit_code=None, status=RunStatus.CRASHED, summary={"loss": 5.0})
    imported(db, half, rows(0, 5))
    store = imported(db, run(), rows(0, 9))
    assert (store.first_row, store.new_rows) == (5, 4)
    found = db.runs.get("3ojed7lz")
    assert (found["status"], found["final_loss"], found["duration_seconds"]) == (
        "completed", 1.0, 1800,
    )  # fmt: skip
    assert store.verify({"_step": 9, "_timestamp": 9, "loss": 9}).is_equal
    assert not store.verify({"_step": 9, "_timestamp": 9, "loss": 8}).is_equal


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_three_files_of_a_resumed_run_end_alike_in_whatever_order(
    db: TrainingDB, order: tuple[int, ...]
) -> None:
    configs: list[Mapping[str, Any]] = [{"a": 1}, {"b": 2}, {"c": 3}]
    for number in order:
        own = {"lr": 0.1, "both": number, **configs[number]}
        if number == 2:
            del own["both"]
        imported(
            db,
            run(number, config=own, tags=[f"t{number}"], name=f"n{number}", exit_code=number),
            rows(0, 3 + number),
        )
    (found,) = db.runs.query(limit=None)
    assert db.history.counts("3ojed7lz")["loss"] == 3 + 4 + 5
    assert json.loads(found["config_json"]) == {"lr": 0.1, "both": 1, "a": 1, "b": 2, "c": 3}
    assert found["run_name"] == "n2"
    assert found["final_loss"] == 0.8
    assert found["duration_seconds"] == 3 * 1800
    assert found["started_at"] == "2024-05-06T07:08:09.000000Z"
    assert found["ended_at"] == "2024-05-06T09:38:09.000000Z"
    assert set(db.tags.of("3ojed7lz")) == {"t0", "t1", "t2", "wandb.project"}


def test_six_unrelated_runs_with_one_id_stay_six(db: TrainingDB) -> None:
    for again in range(2):
        for number in range(6):
            captured = run(number, config={"lr": number, "seed": number})
            store = imported(db, captured, rows(0, 2 + number))
            assert (store.decision is None) == (number == 0 or again == 1)
    assert db.runs.count() == 6
    assert {sum(db.history.counts(one["run_id"]).values()) for one in db.runs.query()} == {
        3 * (2 + number) for number in range(6)
    }


def test_a_run_in_the_trash_stays_there_and_it_is_said(db: TrainingDB) -> None:
    imported(db, run(exit_code=None), rows(0, 2))
    db.runs.delete("3ojed7lz")
    store = imported(db, run(), rows(0, 4))
    assert store.decision is not None
    assert "trash" in store.decision
    assert db.runs.count() == 0
    assert db.history.counts("3ojed7lz")["loss"] == 4


def test_cells_that_a_recorder_brought_are_not_stored_again(db: TrainingDB) -> None:
    db.runs.insert("exp-1", "3ojed7lz", started_at=BEGAN, status="running")
    live = {
        "_step": column([0, 1, 2]),
        "_timestamp": column([5.0, 6.0, 7.0]),
        "loss": column([1, 0.5, 7.0]),
    }
    db.history.write("exp-1", new_writer(live=True), live, (0, 3))
    db.runs.update_status("exp-1", "failed")
    store = imported(db, run(), rows(0, 3, text=["a", None, None]))
    assert store.run_id == "exp-1"
    counts = {"_step": 3, "_timestamp": 3, "loss": 3, "text": 1}
    assert store.verify(counts).is_equal
    # Row 0 keeps its place for the text, row 2 is another value: both are stored.
    assert store.outcome().already_here == 4
    assert db.history.counts("exp-1", [store.writer]) == {
        "_step": 2, "_timestamp": 2, "loss": 1, "text": 1,
    }  # fmt: skip
    assert db.history.arrays("exp-1", "text")["exp-1"]["text"].x.tolist() == [0]
    again = imported(db, run(), rows(0, 3, text=["a", None, None]))
    assert again.verify(counts).is_equal
    assert db.runs.get("exp-1")["status"] == "completed"


def test_a_guess_does_not_overrule_what_a_recorder_said(db: TrainingDB) -> None:
    db.runs.insert("exp-1", "3ojed7lz", started_at=BEGAN, status="running")
    db.history.write("exp-1", new_writer(live=True), {"loss": column([1.0])}, (0, 1))
    db.runs.update_status("exp-1", "completed")
    imported(db, run(exit_code=None, status=RunStatus.CRASHED), rows(0, 3))
    assert db.runs.get("exp-1")["status"] == "completed"


def mirrored(db: TrainingDB, steps: int) -> None:
    """Record the run of which an import follows, as a mirror does it."""
    db.runs.insert("exp-1", "3ojed7lz", started_at=BEGAN, status="running")
    live = {name: cells for name, cells in rows(0, steps).columns.items() if name != "_timestamp"}
    db.history.write("exp-1", new_writer(live=True), live, (0, steps))
    summary = {"_step": steps - 1, "loss": 0.125}
    db.runs.update("exp-1", summary=summary, status="crashed")
    db.runs.update("exp-1", ended_at=BEGAN + timedelta(hours=1), duration_seconds=3600)


def test_a_log_that_lost_its_end_does_not_overrule_what_was_recorded_of_it(
    db: TrainingDB,
) -> None:
    mirrored(db, 8)
    lost: dict[str, Any] = {"exit_code": None, "status": RunStatus.CRASHED}

    imported(db, run(summary={"_step": 4, "loss": 0.5, "best": 1}, **lost), rows(0, 5))

    found = db.runs.get("exp-1")
    assert decode(found["final_metrics_json"]) == {"_step": 7, "loss": 0.125, "best": 1}
    assert (found["final_loss"], found["duration_seconds"]) == (0.125, 3600)
    assert found["ended_at"] == "2024-05-06T08:08:09.000000Z"
    imported(db, run(summary={"_step": 7, "loss": 0.25}, **lost), rows(0, 8))
    assert db.runs.get("exp-1")["final_loss"] == 0.25


@pytest.mark.parametrize("code", [0, None])
def test_a_source_that_knows_the_end_knows_best_but_makes_no_run_shorter(
    db: TrainingDB, code: int | None
) -> None:
    mirrored(db, 8)
    db.runs.update("exp-1", status="completed")

    imported(db, run(summary={"_step": 4, "loss": 0.5}, exit_code=code), rows(0, 5))

    found = db.runs.get("exp-1")
    assert (found["status"], found["final_loss"]) == ("completed", 0.5)
    assert found["duration_seconds"] == 3600


def test_rows_are_new_of_which_any_cell_was_stored(db: TrainingDB) -> None:
    mirrored(db, 8)

    store = imported(db, run(), rows(0, 8), rows(8, 11))

    assert (store.rows, store.new_rows) == (11, 3)


def test_a_run_is_as_alive_as_its_source_saw_it_last(db: TrainingDB) -> None:
    store = imported(db, run(exit_code=None, status=RunStatus.RUNNING))

    for moment in (BEGAN + timedelta(hours=1), BEGAN, None, datetime(2999, 1, 1, tzinfo=UTC)):
        store.heard_of(moment)

    found = db.runs.get("3ojed7lz")
    assert (found["heartbeat_at"], found["stale"]) == ("2024-05-06T08:08:09.000000Z", True)


def test_two_imports_of_one_file_at_once_bring_it_once(db: TrainingDB) -> None:
    faults: list[BaseException] = []
    together = threading.Barrier(3)

    def work() -> None:
        try:
            together.wait()
            imported(db, run(tags=["x"]), *(rows(at, at + 10) for at in range(0, 100, 10)))
        except BaseException as error:  # noqa: BLE001 - shown below
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert not faults
    assert db.runs.count() == 1
    assert db.history.counts("3ojed7lz") == {"_step": 100, "_timestamp": 100, "loss": 100}
    assert len(db.events.list("3ojed7lz")) == 1


def test_the_copy_with_lost_rows_is_told_from_the_whole_one(db: TrainingDB) -> None:
    damaged = rows(0, 4)
    shifted = RowBatch(
        {name: column(cells.values[1:].tolist()) for name, cells in damaged.columns.items()}, (0, 3)
    )
    store = imported(db, run(), shifted)
    whole = RunStore(db, run())
    assert not whole.agrees_with(rows(0, 6))
    assert RunStore(db, run()).agrees_with(shifted)
    assert whole.forget() == 9
    whole.write(rows(0, 6))
    whole.finish(run())
    assert whole.verify({"_step": 6, "_timestamp": 6, "loss": 6}).is_equal
    assert {one["metric"]: one["count"] for one in db.history.keys(store.run_id)}["loss"] == 6


def test_a_worker_says_nothing_of_how_the_run_ended(db: TrainingDB) -> None:
    worker = run(1, is_worker=True, exit_code=None, status=RunStatus.CRASHED, summary={"w": 1})
    for order in ((worker, run()), (run(), worker)):
        for one in order:
            imported(db, one, rows(0, 2))
    found = db.runs.get("3ojed7lz")
    assert (found["status"], found["final_loss"]) == ("completed", 1.0)


def test_odd_names_and_values_are_stored_and_said(db: TrainingDB) -> None:
    captured = run(
        notes="a\0b", tags=["", "x" * 2000, "ok\ud800"], group="", name="\0",
        config={"a\0": 1, "objectives": ["a\0_maximize"]}, summary={"big": 10**5000},
        details={"deep": _deep(300)},
    )  # fmt: skip
    store = imported(db, captured, rows(0, 1, odd=[{"k\0": 1}]))
    assert db.runs.get("3ojed7lz")["notes"] == "a\N{REPLACEMENT CHARACTER}b"
    assert len(store.outcome().damage) >= 6
    assert len(db.tags.of("3ojed7lz")) == 3


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"k": value}
    return value


def test_an_objective_that_cannot_be_stored_costs_only_itself(db: TrainingDB) -> None:
    long = "x" * 2_000
    config = {"objectives": [f"{long}_maximize", "a\0", "QED"], "note": "a\0b"}
    summary = {f"objectives/{long}/raw_mean": 0.5, "objectives/QED/raw_mean": 0.25}

    store = imported(db, run(config=config, summary=summary), rows(0, 1))

    assert len(store.outcome().damage) == 2
    (objective,) = db.objectives.of_run("3ojed7lz")
    assert (objective["objective_name"], objective["raw_mean"]) == ("QED", 0.25)
    found = db.runs.get("3ojed7lz")
    assert decode(found["config_json"]) == config
    assert decode(found["final_metrics_json"]) == summary


def test_an_import_that_has_not_come_to_its_end_says_so(db: TrainingDB) -> None:
    RunStore(db, run()).write(rows(0, 2))
    (begun,) = db.events.list("3ojed7lz")
    assert "has not come to its end" in begun["message"]

    imported(db, run(), rows(0, 2))

    (ended,) = db.events.list("3ojed7lz")
    assert ended["message"] == "imported from 3ojed7lz: 2 rows, 6 values"


def test_a_parent_is_the_run_that_has_its_id_at_wandb(db: TrainingDB) -> None:
    db.runs.insert("pipeline", "1a2b3c4d")

    for parent, expected in (("1a2b3c4d", "pipeline"), ("unknown", "unknown"), ("3ojed7lz", None)):
        captured = run(parent=parent, wandb_run_id="3ojed7lz" if expected is None else parent[::-1])
        store = imported(db, captured, rows(0, 1))
        assert db.runs.get(store.run_id)["parent_run_id"] == expected


def test_an_import_asks_the_database_for_nothing_twice(db: TrainingDB) -> None:
    db.runs.count()  # the schema is checked once, before
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        asked.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    for most in (85, 50):
        asked.clear()
        imported(db, run(tags=["a"]), rows(0, 9)).verify({"loss": 9})
        assert len(asked) <= most, asked
    event.remove(db.engine, "before_cursor_execute", note)
