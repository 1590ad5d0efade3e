"""Copies of one log: shorter, longer, damaged, linked, and of runs that share an id."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from tests import torture
from tests.capture.frames import framed
from tests.capture.logs import START, ended, header, history, run, simple, summary, write_log
from training_db import TrainingDB
from training_db.capture import import_wandb_logs
from training_db.db.migrations import upgrade
from training_db.errors import DatabaseError, DatabaseUnavailable
from training_db.models.run import RunStatus

if TYPE_CHECKING:
    from pathlib import Path

    from tests.postgres import Server

pytestmark = torture.on_one_backend

ROWS = 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "wandb" / "run-20231114_221320-r1"
    folder.mkdir(parents=True)
    return folder / "run-r1.wandb"


def copies(dense: bool, at: int = 10) -> dict[str, bytes]:
    """Return one log whole, cut, and with one record broken."""
    rows = (
        {"loss": step / 7, "_timestamp": START + step}
        | ({"acc": step} if dense or step % 3 else {})
        for step in range(ROWS)
    )
    records = [
        header(), run(config={"lr": 0.1}),
        *(history(row, step) for step, row in enumerate(rows)), summary({"best": 1}), ended(0, 9),
    ]  # fmt: skip
    log = framed(one.SerializeToString() for one in records)
    damaged = bytearray(log.data)
    damaged[log.starts[at] + 30] ^= 4
    return {
        "whole": log.data,
        "cut": log.data[: log.ends[20]],
        "damaged": bytes(damaged),
        "damaged and cut": bytes(damaged[: log.ends[30]]),
    }


@pytest.mark.parametrize("dense", [True, False], ids=["dense", "sparse"])
@pytest.mark.parametrize("first", ["damaged", "damaged and cut", "cut"])
def test_a_whole_copy_takes_the_place_of_another(
    db: TrainingDB, path: Path, first: str, dense: bool
) -> None:
    made = copies(dense)
    path.write_bytes(made[first])
    import_wandb_logs(db, path)
    path.write_bytes(made["whole"])

    (outcome,) = import_wandb_logs(db, path)

    assert outcome.is_good
    assert (outcome.decision is not None) == (first != "cut")
    steps = db.history.arrays("r1", "loss", duplicates="all")["r1"]["loss"]
    assert steps.x.tolist() == list(range(ROWS))
    assert steps.values.tolist() == [step / 7 for step in range(ROWS)]
    assert db.runs.get("r1")["status"] == "completed"
    assert {one["metric"]: one["count"] for one in db.history.keys("r1")} == db.history.counts("r1")
    (again,) = import_wandb_logs(db, path)
    assert (again.new_rows, again.decision, again.is_good) == (0, None, True)


@pytest.mark.parametrize("later", ["cut", "damaged", "damaged and cut"])
def test_a_lesser_copy_changes_nothing(db: TrainingDB, path: Path, later: str) -> None:
    made = copies(dense=False)
    path.write_bytes(made["whole"])
    import_wandb_logs(db, path)
    before = (db.runs.get("r1"), db.history.counts("r1"), db.events.list("r1"))
    path.write_bytes(made[later])

    (outcome,) = import_wandb_logs(db, path)

    assert outcome.is_good
    assert outcome.decision is not None
    assert (db.runs.get("r1"), db.history.counts("r1"), db.events.list("r1")) == before


def test_links_to_a_log_are_one_log(db: TrainingDB, path: Path) -> None:
    write_log(path, simple())
    wandb = path.parents[1]
    (wandb / "latest-run").symlink_to(path.parent)
    (wandb / "loop").symlink_to(wandb)
    (path.parent / "again.wandb").hardlink_to(path)

    outcomes = import_wandb_logs(db, wandb, path, path.parent, str(wandb / "*" / "*.wandb"))

    assert len(outcomes) == 1


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_folders_of_a_resumed_run_are_one_run_in_any_order(
    db: TrainingDB, tmp_path: Path, order: tuple[int, ...]
) -> None:
    paths = []
    for number in range(3):
        records = simple("r1", rows=5 + number, start=START + 5000 * number, config={"lr": 0.1})
        records.insert(-1, summary({"attempt": number}))
        paths.append(write_log(tmp_path / f"run-{number}-r1" / "run-r1.wandb", records))

    outcomes = [import_wandb_logs(db, paths[number])[0] for number in order]

    assert all(outcome.is_good for outcome in outcomes)
    assert {outcome.run_id for outcome in outcomes} == {"r1"}
    found: dict[str, Any] = db.runs.get("r1")
    assert found["status"] == RunStatus.COMPLETED
    assert '"attempt":2' in found["final_metrics_json"]
    assert db.history.counts("r1")["loss"] == 5 + 6 + 7
    assert len(db.history.arrays("r1", "loss")["r1"]["loss"]) == 7


def test_a_log_without_anything_is_said_and_makes_no_run(db: TrainingDB, path: Path) -> None:
    path.write_bytes(b"")

    (outcome,) = import_wandb_logs(db, path)

    assert (outcome.error, outcome.run_id) == (None, None)
    assert db.runs.count() == 0


def test_a_database_that_cannot_be_written_to_is_an_error_of_ours(
    postgres: Server, path: Path
) -> None:
    write_log(path, simple())
    with postgres.database(template=postgres.migrated_template(upgrade)) as url:
        read_only = f"{url}{'&' if '?' in url else '?'}options=-cdefault_transaction_read_only%3Don"
        with TrainingDB(read_only) as db, pytest.raises(DatabaseError, match="read-only"):
            import_wandb_logs(db, path)


def test_a_database_that_is_not_there_is_no_fault_of_the_log(path: Path) -> None:
    write_log(path, simple())
    with (
        TrainingDB("postgresql://nobody@127.0.0.1:1/none") as db,
        pytest.raises(DatabaseUnavailable),
    ):
        import_wandb_logs(db, path)


@pytest.mark.parametrize("dense", [True, False], ids=["dense", "sparse"])
@pytest.mark.parametrize("at", [10, 20])
def test_a_copy_that_is_longer_and_lost_a_row_adds_what_is_new_and_takes_nothing(
    db: TrainingDB, path: Path, at: int, dense: bool
) -> None:
    made = copies(dense, at)
    path.write_bytes(made["cut"])
    import_wandb_logs(db, path)
    path.write_bytes(made["damaged and cut"])
    (grown,) = import_wandb_logs(db, path)
    path.write_bytes(made["damaged"])

    (outcome,) = import_wandb_logs(db, path)
    (again,) = import_wandb_logs(db, path)

    assert all(one.is_good for one in (grown, outcome, again))
    assert (outcome.rows, again.new_rows) == (ROWS - 1, 0)
    assert outcome.decision is not None
    steps = db.history.arrays("r1", "loss", duplicates="all")["r1"]["loss"]
    assert steps.x.tolist() == list(range(ROWS))
    assert steps.values.tolist() == [step / 7 for step in range(ROWS)]
    assert db.runs.get("r1")["status"] == "completed"
