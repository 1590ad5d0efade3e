"""One recorder, used by the children of its process and by several threads."""

from __future__ import annotations

import json
import os
import threading
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from tests import torture
from tests.faults.points import ATTEMPT, check, row
from tests.faults.processes import Process
from tests.faults.spools import left
from tests.faults.workers import ROWS, WORKERS
from training_db.recording import sync

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB

pytestmark = torture.on_one_backend


def test_forked_children_log_through_the_recorder_they_inherit_and_leave_their_parent_alone(
    db: TrainingDB, tmp_path: Path, spool_dir: Path
) -> None:
    url = db.url.render_as_string(hide_password=False)
    process = Process(tmp_path, "workers", {"url": url})
    told = json.loads(process.line())
    code = process.wait()
    assert (code, process.errors) == (0, "")
    assert told["codes"] == [7, 7, *[0] * WORKERS]
    assert told["status"] == "running"  # a child that ends is not the end of the run

    assert db.runs.get("run")["status"] == "completed"
    sync(db)  # a child that is cut off leaves its points in a spool of its own
    logged = {1: ROWS, 2: told["others"], 3: ROWS, 4: ROWS}
    logged |= {10 + number: ROWS for number in range(WORKERS)}
    check(db, "run", {ATTEMPT * number: rows for number, rows in logged.items()})
    assert left(spool_dir) == []
    assert db.runs.get("run")["status"] == "completed"


@pytest.mark.filterwarnings("ignore::training_db.recording.RecorderWarning")
def test_a_child_forked_while_its_parent_writes_the_database_is_not_held_up_by_that(
    db: TrainingDB,
) -> None:
    with db.recorder("run") as recorder:
        recorder.log(row(0), step=0)
        assert recorder.flush(30)
        with db.transaction():
            db.runs.insert("other")
            start = monotonic()
            child = os.fork()
            if child == 0:
                # SQLite goes on to believe here that the transaction is open.
                recorder.log(row(ATTEMPT), step=ATTEMPT)
                recorder.close()
                os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert monotonic() - start < 15
        recorder.log(row(1), step=1)
    sync(db)

    check(db, "run", {0: 2, ATTEMPT: 1})
    assert db.runs.get("run")["status"] == "completed"


def test_eight_threads_log_at_once(db: TrainingDB) -> None:
    start = threading.Barrier(8)
    with db.recorder("run", flush_seconds=0.05) as recorder:

        def log(number: int) -> None:
            start.wait()
            for step in range(ATTEMPT * number, ATTEMPT * number + 500):
                recorder.log(row(step), step=step)

        threads = [threading.Thread(target=log, args=(number,)) for number in range(1, 9)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    check(db, "run", {ATTEMPT * number: 500 for number in range(1, 9)})
    assert db.runs.get("run")["status"] == "completed"
