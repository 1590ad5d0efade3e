"""Writers and readers of one database, all at once: each is a fork, and tells what it has done."""

from __future__ import annotations

import json
import os
import random
import sys
import traceback
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from tests.faults.points import ATTEMPT, row
from training_db import TrainingDB

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_db.recording import Recorder

    Truth = dict[str, Any]

SHARED = "shared"
LOSSES = [1.0, 0.5, 0.25]
CYCLE = ("objective", "tag", "event", "history", "status", "shared", "pair", "delete", "restore")


class Writer:
    """Makes runs and changes them, over and over; what each call did is in ``truth``.

    Args:
        db: A database of its own.
        number: Its number, which is in the names of all it makes.
    """

    def __init__(self, db: TrainingDB, number: int) -> None:
        self._db, self._number = db, number
        self._random = random.Random(number)  # noqa: S311 - no secrets
        self.truth: Truth = {"runs": {}, "pairs": 0, "shared": 0, "logged": 0}

    def work(self, recorder: Recorder) -> None:
        run_id = f"w{self._number}-{len(self.truth['runs'])}"
        self._db.runs.insert(run_id, config={"seed": self._number})
        self._run: Truth = {"status": "launched", "deleted": False, "objectives": [], "tags": {},
                     "events": 0, "losses": []}  # fmt: skip
        self.truth["runs"][run_id] = self._run
        for name in CYCLE:
            if self._random.random() < 0.7:
                getattr(self, f"_{name}")(run_id)
            recorder.log(row(ATTEMPT * self._number + self.truth["logged"]),
                         step=ATTEMPT * self._number + self.truth["logged"])  # fmt: skip
            self.truth["logged"] += 1

    def _objective(self, run_id: str) -> None:
        value = self._random.random()
        self._db.objectives.insert(run_id, "QED", raw_mean=value)
        self._run["objectives"] = [value]

    def _tag(self, run_id: str) -> None:
        self._db.tags.add(run_id, "writer", str(self._number))
        self._run["tags"] = {"writer": str(self._number)}

    def _event(self, run_id: str) -> None:
        self._db.events.add(run_id, "note", "written")
        self._run["events"] += 1

    def _history(self, run_id: str) -> None:
        for _ in range(2):
            self._db.history.append(run_id, {"loss": LOSSES})
            self._run["losses"] += LOSSES

    def _status(self, run_id: str) -> None:
        status = self._random.choice(["running", "completed", "failed"])
        self._db.runs.update_status(run_id, status)
        self._run["status"] = status

    def _shared(self, _run_id: str) -> None:
        """Add to a run that everybody adds to."""
        self._db.history.append(SHARED, {f"w{self._number}": [self.truth["shared"]]})
        self._db.objectives.insert(SHARED, f"w{self._number}", raw_mean=self.truth["shared"])
        self.truth["shared"] += 1

    def _pair(self, run_id: str) -> None:
        """Insert two runs, of which nobody may see one alone."""
        with self._db.transaction():
            for half in ("left", "right"):
                self._db.runs.insert(f"{run_id} {half}", host=f"pair {self._number}")
        self.truth["pairs"] += 1

    def _delete(self, run_id: str) -> None:
        self._db.runs.delete(run_id)
        self._run["deleted"] = True

    def _restore(self, run_id: str) -> None:
        self._db.runs.restore(run_id)
        self._run["deleted"] = False


class Reader:
    """Asks in every way there is, and looks whether the answers fit together.

    Args:
        db: A database of its own.
        number: Its number.
        writers: How many write.
    """

    def __init__(self, db: TrainingDB, number: int, writers: int) -> None:
        self._db, self._writers = db, writers
        self._random = random.Random(number)  # noqa: S311 - no secrets
        self._seen: dict[str, float] = {}
        self.truth: Truth = {"asked": 0}

    def work(self) -> None:
        self._random.choice([self._pairs, self._shared, self._latest, self._pages, self._best])()
        self.truth["asked"] += 1

    def _pairs(self) -> None:
        host = f"pair {self._random.randrange(self._writers)}"
        assert self._db.runs.count({"host": host}) % 2 == 0
        assert len(self._db.runs.query({"host": host}, limit=None)) % 2 == 0

    def _shared(self) -> None:
        """Look at the run that everybody adds to, of which nothing may go away again."""
        for one in self._db.objectives.of_run(SHARED):
            assert one["raw_mean"] >= self._seen.get(one["objective_name"], 0.0)
            self._seen[one["objective_name"]] = one["raw_mean"]
        for name, series in self._db.history.arrays(SHARED)[SHARED].items():
            values = series.values.tolist()
            assert values == list(range(len(values)))
            assert len(values) >= self._seen.get(name, -1.0) + 1

    def _latest(self) -> None:
        for run in self._db.runs.query("objective.QED > 0.3", limit=5):
            series = self._db.history.arrays(run["run_id"])[run["run_id"]]
            losses = series["loss"].values.tolist() if "loss" in series else []
            assert losses == LOSSES * (len(losses) // len(LOSSES))
            assert len(self._db.objectives.of_run(run["run_id"])) == 1

    def _pages(self) -> None:
        page = self._db.runs.page(limit=20)
        numbers = [run["number"] for run in page.items]
        while page.next and len(numbers) < 100:
            page = self._db.runs.page(limit=20, after=page.next)
            numbers += [run["number"] for run in page.items]
        assert len(numbers) == len(set(numbers))

    def _best(self) -> None:
        with self._db.snapshot():  # the only such run may go to the trash in between
            if self._db.runs.count("metric.loss.min = 0.25"):
                assert self._db.metrics.best("loss", limit=3)[0]["value"] == LOSSES[-1]
        self._db.statistics.overview()


def write(db: TrainingDB, number: int, told: Truth) -> Truth:
    writer = Writer(db, number)
    # All of them close at once, and on a busy machine each waits long for its turn at the run.
    patience = {"flush_seconds": 0.2, "close_seconds": 120.0}
    with db.recorder(f"live {number % 2}", **patience) as recorder:
        writer.work(recorder)  # also where the others leave it no time
        while monotonic() < told["end"]:
            writer.work(recorder)
    return writer.truth


def read(db: TrainingDB, number: int, told: Truth) -> Truth:
    reader = Reader(db, number, told["writers"])
    while monotonic() < told["end"]:
        reader.work()
    return reader.truth


def forked(work: Callable[[TrainingDB, int, Truth], Truth], number: int, told: Truth) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with TrainingDB(told["url"]) as db:
            truth = work(db, number, told)
        Path(told["folder"], f"{work.__name__} {number}.json").write_text(json.dumps(truth))
        code = 0
    except BaseException:  # noqa: BLE001 - the test reads what it was
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def main(orders: str) -> None:
    told = json.loads(orders)
    told["end"] = monotonic() + told["seconds"]
    crowd = [forked(write, number, told) for number in range(told["writers"])]
    crowd += [forked(read, number, told) for number in range(told["readers"])]
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in crowd]
    sys.exit(max(codes))


if __name__ == "__main__":
    main(*sys.argv[1:])
