"""What killed trainings have left is shown, sent once, and dropped only when somebody says so."""

from __future__ import annotations

import sqlite3
import warnings
from contextlib import closing
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests import torture
from tests.faults.processes import until
from tests.recording.left_behind import STARTED, left, spool
from training_db import TrainingDB
from training_db.errors import DatabaseError, InvalidValue
from training_db.recording import RecorderWarning, drop, status, sync
from training_db.recording.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = torture.on_one_backend


def make_old(db: TrainingDB, run_id: str = "run") -> None:
    """Let the last sign of life of a run be long ago."""
    with db.engine.begin() as connection:
        connection.execute(
            text(
                "UPDATE training_runs SET heartbeat_at = '2026-01-02 03:05:00' WHERE run_id = :id"
            ),
            {"id": run_id},
        )


def losses(db: TrainingDB, run_id: str = "run") -> list[float]:
    found: list[float] = db.history.arrays(run_id, "loss")[run_id]["loss"].values.tolist()
    return found


def test_what_is_left_is_shown_and_sent_once(db: TrainingDB, spool_dir: Path) -> None:
    path = left(db, spool_dir)
    [waiting] = status()
    assert (waiting.file, waiting.state, waiting.run_id) == (path, "waiting", "run")
    assert (waiting.rows, waiting.events, waiting.started_at) == (3, 0, STARTED)
    assert waiting.bytes == path.stat().st_size

    [sent] = sync(db)
    assert (sent.state, sent.rows) == ("sent", 3)
    assert losses(db) == [0.0, 0.5, 1.0]
    run = db.runs.get("run")
    assert (run["status"], run["started_at"]) == ("running", STARTED)
    assert sync(db) == []
    assert [(one.file, one.state, one.rows) for one in status()] == [(path, "sent", 0)]


def test_rows_that_had_arrived_already_are_not_doubled(db: TrainingDB, spool_dir: Path) -> None:
    path = left(db, spool_dir, rows=5)
    copy = path.read_bytes()
    sync(db)
    path.write_bytes(copy)
    sync(db)
    assert len(losses(db)) == 5


def test_a_run_gets_the_status_that_its_recorder_was_closed_with(
    db: TrainingDB, spool_dir: Path
) -> None:
    left(db, spool_dir, closing="failed", closed_at="2026-01-02T04:00:00.000000Z")
    sync(db)
    run = db.runs.get("run")
    assert (run["status"], run["ended_at"]) == ("failed", "2026-01-02T04:00:00.000000Z")


def test_a_run_that_has_ended_otherwise_since_keeps_its_status(
    db: TrainingDB, spool_dir: Path
) -> None:
    db.runs.insert("run", status="completed")
    left(db, spool_dir, closing="failed")
    sync(db)
    assert db.runs.get("run")["status"] == "completed"
    assert len(losses(db)) == 3


def test_a_run_of_which_nothing_was_heard_since_is_crashed(db: TrainingDB, spool_dir: Path) -> None:
    db.runs.insert("run", status="running")
    make_old(db)
    left(db, spool_dir, rows=0)
    sync(db)
    run = db.runs.get("run")
    assert run["status"] == "crashed"
    assert run["ended_at"].startswith("2026-01-02T03:05:00")
    [event] = db.events.list("run", "crash")
    assert "process 4711 on gpu-7 ended without closing" in event["message"]


@pytest.mark.parametrize("is_old", [True, False])
def test_a_writer_that_has_no_say_in_the_status_does_not_change_it(
    db: TrainingDB, spool_dir: Path, is_old: bool
) -> None:
    db.runs.insert("run", status="running")
    if is_old:
        make_old(db)
    left(db, spool_dir, sets_status="no")
    sync(db)
    assert db.runs.get("run")["status"] == "running"
    assert len(losses(db)) == 3


def test_a_spool_without_rows_of_a_run_that_nobody_knows_is_only_deleted(
    db: TrainingDB, spool_dir: Path
) -> None:
    left(db, spool_dir, rows=0)
    assert [one.state for one in sync(db)] == ["sent"]
    assert db.runs.find("run") is None


def test_spools_of_other_databases_and_runs_stay(db: TrainingDB, spool_dir: Path) -> None:
    other = left(db, spool_dir, place="postgresql://elsewhere:5432/runs")
    second = left(db, spool_dir, "second")
    assert sync(db, run_id="first") == []
    assert [one.file for one in sync(db, spool_dir)] == [second]
    assert [one.file for one in status() if one.state == "waiting"] == [other]


def test_a_spool_in_use_is_shown_and_left(db: TrainingDB, spool_dir: Path) -> None:
    with db.recorder("run", flush_seconds=3600) as recorder:
        recorder.log({"loss": 1.0})
        assert [one.state for one in status()] == ["in use"]
        assert [one.state for one in sync(db)] == ["in use"]
        assert [one.state for one in drop()] == ["in use"]
        assert len(list(spool_dir.glob("*.spool"))) == 1
    assert losses(db) == [1.0]


def test_damaged_spools_are_set_aside_and_named(db: TrainingDB, spool_dir: Path) -> None:
    good, bad = left(db, spool_dir, closing="completed"), left(db, spool_dir, "bad")
    bad.write_bytes(b"\0" * 10_000)
    bad.with_name(bad.name + "-wal").write_bytes(b"x")
    with pytest.warns(RecorderWarning, match="training-db spool drop") as caught:
        found = {one.file: one.state for one in sync(db)}
    aside = bad.with_name(bad.name + ".corrupt")
    assert found == {good: "sent", aside: "corrupt"}
    assert str(bad) in str(caught[0].message)
    assert [(one.file, one.state) for one in status()] == [(aside, "corrupt")]
    assert sync(db) == []
    assert [one.state for one in drop()] == ["dropped"]
    assert status() == []


def test_a_spool_whose_pages_are_damaged_is_set_aside_when_they_are_read(
    db: TrainingDB, spool_dir: Path
) -> None:
    path = left(db, spool_dir, rows=2_000)
    content = bytearray(path.read_bytes())
    content[8 * 4096 : 9 * 4096] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.warns(RecorderWarning, match="malformed"):
        assert [one.state for one in sync(db)] == ["corrupt"]


def test_a_file_that_cannot_be_read_is_left_where_it_is(db: TrainingDB, spool_dir: Path) -> None:
    path = spool_dir / "run-1.spool"
    path.mkdir(parents=True)
    assert [one.state for one in sync(db)] == ["unreadable"]
    assert [(one.state, one.bytes > 0) for one in status()] == [("unreadable", True)]
    assert path.exists()


def test_what_is_dropped_is_told_and_gone(db: TrainingDB, spool_dir: Path) -> None:
    first, second = left(db, spool_dir, "first"), left(db, spool_dir, "second")
    third = left(db, spool_dir, "third")
    assert [(one.file, one.rows) for one in drop(files=[first])] == [(first, 3)]
    assert [one.file for one in drop(run_id="second")] == [second]
    with pytest.raises(InvalidValue, match="is no spool in"):
        drop(files=[first])
    assert [one.file for one in drop(spool_dir)] == [third]
    assert list(spool_dir.iterdir()) == []


def test_a_database_that_is_not_there_leaves_all_as_it_was(
    db: TrainingDB, spool_dir: Path, tmp_path: Path
) -> None:
    nowhere = TrainingDB(tmp_path / "none.db")
    path = left(nowhere, spool_dir)
    with pytest.raises((DatabaseError, Exception), match="training-db upgrade"):
        sync(nowhere)
    assert Spool.open(path).waiting_rows == 3
    assert db.runs.count() == 0


def test_the_next_start_sends_what_is_left_and_the_run_goes_on(
    db: TrainingDB, spool_dir: Path
) -> None:
    db.runs.insert("run", status="running")
    make_old(db)
    left(db, spool_dir)
    left(db, spool_dir, "other", closing="completed")
    with db.recorder("run") as recorder:
        recorder.log({"loss": 9.0}, step=7)
        recorder.close()
    assert losses(db) == [0.0, 0.5, 1.0, 9.0]
    assert db.runs.get("run")["status"] == "completed"
    assert db.events.list("run", "crash") == []
    sync(db)
    assert db.runs.get("other")["status"] == "completed"


def test_a_row_that_the_database_refuses_becomes_an_event_and_the_others_go_in(
    db: TrainingDB, spool_dir: Path
) -> None:
    made = spool(db, spool_dir, "run")
    good = made.layout("qdd", ("_step", "_timestamp", "loss"))
    bad = made.layout("qdd", ("_step", "_timestamp", "loss\x00"))
    assert good is not None
    assert bad is not None
    for step in range(20):
        layout = bad if step == 13 else good
        made.add(layout.number, layout.pack(step, 1.0, float(step)), 3)
    made.add_event({"kind": "x\x00", "message": "m", "data": None, "happened_at": 1.0})
    made.add_event({"kind": "x", "message": "m", "data": None, "happened_at": 1.0})
    made.close()
    with pytest.warns(RecorderWarning, match="an event of run 'run' was not stored"):
        sync(db)
    assert losses(db) == [float(step) for step in range(20) if step != 13]
    assert len(db.history.arrays("run", "_step")["run"]["_step"].values) == 20
    [event] = db.events.list("run", "error")
    assert "13.0" in event["data_json"]
    assert len(db.events.list("run", "x")) == 1


DAMAGES = {
    "a number where bytes are": "UPDATE rows SET cells = 7 WHERE row = 1",
    "nothing where bytes are": "UPDATE rows SET cells = x'' WHERE row = 1",
    "no such layout": "UPDATE rows SET layout = 99 WHERE row = 1",
    "too few bytes": "UPDATE rows SET cells = x'0102' WHERE row = 1",
    "no JSON": "UPDATE rows SET layout = 0, cells = x'7bff' WHERE row = 1",
    "no object": "UPDATE rows SET layout = 0, cells = CAST('[1]' AS BLOB) WHERE row = 1",
    "no event": "INSERT INTO events VALUES (0, 'x')",
    "an event of another kind": "INSERT INTO events VALUES (0, '[1]')",
    "a layout of another kind": "UPDATE layouts SET codes = 'zz'",
}


def damage(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


@pytest.mark.parametrize("statement", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_row_that_cannot_be_decoded_sets_its_spool_aside_and_the_next_is_sent(
    db: TrainingDB, spool_dir: Path, statement: str
) -> None:
    bad, good = left(db, spool_dir, "bad"), left(db, spool_dir, closing="completed")
    damage(bad, statement)
    with pytest.warns(RecorderWarning, match="training-db spool drop") as caught:
        found = {one.file: one.state for one in sync(db)}
    aside = bad.with_name(bad.name + ".corrupt")
    assert found == {aside: "corrupt", good: "sent"}
    assert str(bad) in str(caught[0].message)
    assert list(spool_dir.iterdir()) == [aside]
    assert len(losses(db)) == 3


def test_a_spool_that_the_disk_does_not_give_stays_where_it_is(
    db: TrainingDB, spool_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = left(db, spool_dir)
    opened = Spool.open

    def without_rows(path: Path) -> Spool:
        spool = opened(path)
        # SQLite's own error of operation, as of a disk that does not answer.
        spool._connection.execute("ALTER TABLE rows RENAME TO elsewhere")
        return spool

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "open", without_rows)
        [one] = sync(db)
    assert (one.file, one.state) == (path, "unreadable")
    assert "no such table" in str(one.reason)
    assert path.exists()


@pytest.mark.parametrize("statement", [DAMAGES["too few bytes"], DAMAGES["no such layout"]])
def test_a_damaged_spool_of_the_same_run_does_not_keep_a_close_waiting(
    db: TrainingDB, spool_dir: Path, statement: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecorderWarning)
        with db.recorder("run", flush_seconds=3600, close_seconds=20) as recorder:
            recorder.log({"loss": 1.0})
            assert recorder.flush()
            damage(left(db, spool_dir), statement)
            begun = monotonic()
    assert monotonic() - begun < 10
    assert db.runs.get("run")["status"] == "completed"


def test_what_else_cannot_be_sent_does_not_keep_a_close_waiting(
    db: TrainingDB, spool_dir: Path
) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RecorderWarning)
        with db.recorder("run", flush_seconds=3600, close_seconds=20) as recorder:
            recorder.log({"loss": 1.0})
            assert recorder.flush()
            # Something that the database refuses for ever.
            path = left(db, spool_dir, "run", started_at="nonsense", closing="failed")
            with db.engine.begin() as connection:
                connection.execute(text("UPDATE training_runs SET status = 'launched'"))
            begun = monotonic()
    assert monotonic() - begun < 10
    assert db.runs.get("run")["status"] == "completed"
    assert path.exists()
    assert any("InvalidTimestamp" in str(one.message) or "nonsense" in str(one.message)
               for one in caught)  # fmt: skip


def beat_at(db: TrainingDB, moment: str) -> None:
    with db.engine.begin() as connection:
        connection.execute(
            text("UPDATE training_runs SET heartbeat_at = :moment"), {"moment": moment}
        )


def test_an_old_attempt_does_not_end_a_run_that_goes_on(db: TrainingDB, spool_dir: Path) -> None:
    db.runs.insert("run", status="running")
    db.runs.beat("run")
    left(db, spool_dir, closing="failed", closed_at="2026-01-02T03:00:00.000000Z")
    sync(db)
    assert db.runs.get("run")["status"] == "running"
    make_old(db)
    sync(db)
    assert db.runs.get("run")["status"] == "failed"
    assert list(spool_dir.iterdir()) == []


@pytest.mark.parametrize("closed_at", ["closed_at", "given_up_at"])
def test_a_run_that_was_not_heard_of_since_it_was_closed_has_ended(
    db: TrainingDB, spool_dir: Path, closed_at: str
) -> None:
    db.runs.insert("run", status="running")
    db.runs.beat("run")
    told = {"closed_at": "2026-01-02T03:00:00.000000Z", closed_at: "2999-01-01T00:00:00.000000Z"}
    left(db, spool_dir, closing="failed", **told)
    sync(db)
    assert db.runs.get("run")["status"] == "failed"


def test_a_killed_run_is_crashed_by_a_later_sync_though_its_rows_were_sent_before(
    db: TrainingDB, spool_dir: Path
) -> None:
    path = left(db, spool_dir, rows=50_000)
    size = path.stat().st_size
    assert [one.state for one in sync(db)] == ["sent"]
    assert path.stat().st_size < size / 10
    assert sync(db) == []
    make_old(db)
    [one] = sync(db)
    assert (one.state, one.rows) == ("sent", 0)
    assert db.runs.get("run")["status"] == "crashed"
    assert list(spool_dir.iterdir()) == []


def test_a_killed_run_is_crashed_by_the_start_of_another(db: TrainingDB, spool_dir: Path) -> None:
    path = left(db, spool_dir)
    sync(db)
    make_old(db)
    with db.recorder("other") as recorder:
        recorder.flush()
        until(lambda: not path.exists(), "the other has looked")
    assert db.runs.get("run")["status"] == "crashed"


def test_a_worker_without_a_say_in_the_status_keeps_what_a_killed_one_left(
    db: TrainingDB, spool_dir: Path
) -> None:
    path = left(db, spool_dir)
    with db.recorder("run", sets_status=False) as recorder:
        recorder.log({"loss": 9.0})
    assert [(one.file, one.state) for one in status()] == [(path, "sent")]
    make_old(db)
    sync(db)
    assert db.runs.get("run")["status"] == "crashed"
