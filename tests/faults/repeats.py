"""Log some steps when told to: one of two processes that log the same ones."""

from __future__ import annotations

import json
import sys

from training_db import TrainingDB


def main(orders: str) -> None:
    told = json.loads(orders)
    with TrainingDB(told["url"]) as db, db.recorder(told["run_id"]) as recorder:
        say("ready")
        for step in range(*told["steps"]):
            recorder.log({"loss": told["value"]}, step=step)
        say("logged")


def say(word: str) -> None:
    """Tell the test how far it is, and wait for leave to go on."""
    print(word, flush=True)  # noqa: T201
    sys.stdin.readline()


if __name__ == "__main__":
    main(*sys.argv[1:])
