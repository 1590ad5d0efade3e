"""Fuzz the reader of ``.wandb`` files: any bytes are a log, damage that is told, or our error."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["training_db"]):
    from training_db.capture.offline.log import WandbLog
    from training_db.errors import UnreadableSource

from tests.capture.frames import framed
from tests.security.fuzzers import SEPARATOR

PLACE = Path(sys.argv[1])


def try_one(data: bytes) -> None:
    # Half of the time what is changed are records in sound frames: no accident would get through
    # the checksums of those.
    is_framed, rest = data[:1] > b"\x7f", data[1:]
    PLACE.write_bytes(framed(rest.split(SEPARATOR)).data if is_framed else rest)
    try:
        log = WandbLog(PLACE, batch_cells=50)
        rows = [batch.rows for batch in log.batches()]
        run = log.run
    except UnreadableSource:
        return
    if any(before[1] != after[0] for before, after in pairwise(rows)):
        raise AssertionError(f"rows are not one after the other: {rows}")
    if not all(isinstance(one, str) for one in log.damage):
        raise AssertionError(log.damage)
    if run is not None and not run.source_id:
        raise AssertionError("a run without an id")


if __name__ == "__main__":
    atheris.Setup([sys.argv[0], *sys.argv[2:]], try_one)
    atheris.Fuzz()
