"""W&B logs that are cut, damaged or still growing: what is around the damage is kept."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture.frames import framed
from tests.capture.logs import (
    START,
    Raw,
    config,
    files,
    header,
    history,
    run,
    simple,
    summary,
    write_log,
)
from tests.capture.oracle import cells_of, read
from tests.unit.strategies import QUICK
from training_db.capture.offline.log import WandbLog

if TYPE_CHECKING:
    from pathlib import Path

    from wandb.proto.wandb_internal_pb2 import Record


NAN, INFINITY = math.nan, math.inf


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run-r1.wandb"


def logged(path: Path, *records: Record) -> WandbLog:
    return WandbLog(write_log(path, [header(), run(), *records]))


@pytest.mark.parametrize("bad", ["NVIDIA RTX A5000", "", "{", "[1,", "nan", "1 2", '"\\x"', "1,2"])
def test_one_bad_value_costs_that_value_only(path: Path, bad: str) -> None:
    log = logged(
        path,
        history({"gpu": 1, "loss": 0.5}, 0),
        history({"gpu": Raw(bad), "loss": 0.25}, 1),
        history({"gpu": 3, "loss": 0.125}, 2),
        summary({"gpu": Raw(bad), "fine": 1}),
        config({"gpu": Raw(bad), "fine": 2}),
    )

    found = read(log)

    assert found["loss"] == {0: 0.5, 1: 0.25, 2: 0.125}
    assert found["gpu"] == {0: 1, 1: bad, 2: 3}
    assert "gpu" in " ".join(log.damage)
    assert log.run.summary["fine"] == 1
    assert log.run.config["fine"] == 2


def test_a_record_that_is_no_message_costs_that_record_only(path: Path) -> None:
    records = [one.SerializeToString() for one in simple(rows=3)]
    path.write_bytes(framed([*records[:3], b"\xff\xff\xff\xff", *records[3:]]).data)
    log = WandbLog(path)

    assert read(log)["_step"] == {0: 0, 1: 1, 2: 2}
    assert len(log.damage) == 1


def test_media_whose_pieces_contradict_each_other_raises_nothing(path: Path) -> None:
    pieces = {("t", "_type"): "x", ("t", "a"): 1, ("t", "a", "b"): 2, ("loss",): 0.5}
    log = logged(path, history(pieces), history(dict(reversed(pieces.items()))))

    found = read(log)

    assert found["loss"] == {0: 0.5, 1: 0.5}
    assert found["t"][0]["_type"] == "x"


def test_text_that_is_no_utf_8_costs_that_value_only(path: Path) -> None:
    records = [one.SerializeToString() for one in simple(rows=2)]
    broken = history({"name": "abcd", "loss": 7.0}, 2).SerializeToString()
    assert broken.count(b"abcd") == 1
    path.write_bytes(framed([*records, broken.replace(b"abcd", b"a\xff\xfed")]).data)
    log = WandbLog(path)

    found = read(log)

    assert found["_step"] == {0: 0, 1: 1, 2: 2}
    assert found["loss"][2] == 7.0
    assert log.damage


@QUICK
@given(cuts=st.lists(st.floats(0, 1), max_size=6), batch=st.sampled_from([1, 9, 100_000]))
def test_a_log_read_while_it_grows_gives_what_the_whole_gives(
    path: Path, cuts: list[float], batch: int
) -> None:
    records = [*simple(rows=8), summary({"best": 1}), config({"late": 2}), files("x.txt")]
    data = framed(one.SerializeToString() for one in records).data
    path.write_bytes(data)
    whole = WandbLog(path)
    expected = read(whole)
    path.write_bytes(data[:7])
    log = WandbLog(path, batch_cells=batch)
    batches = []

    for stop in [*sorted(round(cut * len(data)) for cut in cuts), len(data)]:
        path.write_bytes(data[: max(stop, 7)])
        batches += log.batches()

    assert cells_of(batches) == expected
    assert (log.rows, log.counts, log.damage) == (whole.rows, whole.counts, [])
    assert log.run == whole.run


def test_a_log_cut_at_any_byte_keeps_every_row_before_the_cut(path: Path) -> None:
    log = framed(one.SerializeToString() for one in simple(rows=6))

    for length in range(7, len(log.data)):
        path.write_bytes(log.data[:length])
        os.utime(path, (START, START))  # else it may just be being written
        cut = WandbLog(path)
        kept = max(0, min(6, len(log.whole(length)) - 2))
        assert len(read(cut).get("loss", {})) == kept, f"cut at {length}"
        assert cut.rows == kept
        assert bool(cut.damage) == log.is_inside(length), f"cut at {length}"
        assert cut.run is None or cut.run.exit_code is None


def test_any_flipped_bit_costs_at_most_three_rows_and_raises_nothing(path: Path) -> None:
    log = framed(one.SerializeToString() for one in simple(rows=6))
    path.write_bytes(log.data)
    losses = list(read(WandbLog(path))["loss"].values())

    for bit in range(56, 8 * len(log.data), 5):
        changed = bytearray(log.data)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        damaged = WandbLog(path)
        kept = list(read(damaged).get("loss", {}).values())
        rest = iter(losses)
        assert all(one in rest for one in kept), f"bit {bit} makes up a value"
        assert len(losses) - len(kept) <= 3, f"bit {bit}"
        assert damaged.damage, f"nothing is said about bit {bit}"
        assert damaged.run.wandb_run_id == "r1", "the file's name says it too"
