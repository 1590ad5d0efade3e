"""Inserts runs: one of the processes that a test starts side by side."""

from __future__ import annotations

import sys

from training_db import TrainingDB


def main(url: str, name: str, count: str) -> None:
    with TrainingDB(url) as db:
        print("ready", flush=True)  # noqa: T201 - the test waits for it
        sys.stdin.readline()
        for number in range(int(count)):
            db.runs.insert(f"{name}-{number}", config={"objectives": ["QED", "SA"], "lr": 0.1})
            db.runs.update_status(f"{name}-{number}", "completed", summary={"loss": 0.5})
        db.runs.insert_many({"run_id": f"{name}-many-{number}"} for number in range(50))


if __name__ == "__main__":
    main(*sys.argv[1:])
