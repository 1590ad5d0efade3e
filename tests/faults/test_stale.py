"""A run that has not been heard of for a while is shown as stale, by the database's clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.heartbeats import make_old
from tests.faults.processes import until
from tests.faults.spools import abandon
from training_db.recording import sync

if TYPE_CHECKING:
    from training_db import TrainingDB


def test_a_run_without_a_heartbeat_is_stale_until_it_beats_again(db: TrainingDB) -> None:
    abandon(db.url.render_as_string(hide_password=False), "run", 1)
    sync(db)
    db.runs.update_status("run", "running")
    db.runs.beat("run")
    assert db.runs.get("run")["stale"] is False
    make_old(db, "run")
    assert db.runs.get("run")["stale"] is True
    assert [run["stale"] for run in db.runs.query()] == [True]

    with db.recorder("run"):
        until(lambda: db.runs.get("run")["stale"] is False, "it beats again")
    make_old(db, "run")
    assert db.runs.get("run")["stale"] is False  # it has ended
