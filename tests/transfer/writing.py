"""Somebody who writes while a copy is made: each transaction is a run with all that belongs to it.

How many runs there are stands in the notes of the first one, so that a moment can be told.
"""

from __future__ import annotations

import select
import sys

from training_db import TrainingDB


def main(url: str) -> None:
    with TrainingDB(url) as db:
        written = 0
        db.runs.insert("counter", notes="0")
        while not select.select([sys.stdin], [], [], 0)[0]:
            written += 1
            with db.transaction():
                run_id = f"written-{written}"
                db.runs.insert(run_id, history_json={"loss": [written / 2]})
                db.tags.add(run_id, "tag", str(written))
                db.events.add(run_id, "note", "written")
                db.objectives.insert(run_id, "QED", raw_mean=0.5)
                db.runs.update("counter", notes=str(written))
                if written % 5 == 0:
                    db.runs.update(f"written-{written - 3}", notes="changed")
            if written == 20:
                print("going", flush=True)  # noqa: T201 - the test waits for it
        print(written, flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
