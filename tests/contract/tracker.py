"""Logs experiments: one of the processes that a test starts side by side."""

from __future__ import annotations

import sys

from training_db import ExperimentDB


def main(url: str, name: str, count: str) -> None:
    print("ready", flush=True)  # noqa: T201 - the test waits for it
    sys.stdin.readline()
    with ExperimentDB(url) as tracker:
        for number in range(int(count)):
            run = tracker.log_run(f"{name}-{number}")
            tracker.log_metric(run, "val_loss", run + 0.5, step=0, epoch=0)
            print(run, flush=True)  # noqa: T201 - the ids are what the test is about


if __name__ == "__main__":
    main(*sys.argv[1:])
