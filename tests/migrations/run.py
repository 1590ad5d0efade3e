"""A migration in a process of its own, which tells each step so that a test can end it there."""

from __future__ import annotations

import sys

from training_db.db.migrations import upgrade


def main(url: str) -> None:
    def progress(label: str, done: int, total: int) -> None:
        print(f"{label} {done}/{total}", flush=True)  # noqa: T201 - the test reads it

    print("started", flush=True)  # noqa: T201
    report = upgrade(url, backup=False, progress=progress)
    print(f"ended {report.from_version} {report.to_version}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
