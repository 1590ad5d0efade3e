"""The blocks of a W&B log: every record comes back, and damage costs next to nothing."""

from __future__ import annotations

import io
import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture.frames import BLOCK, FILE_HEADER, PIECE, framed
from tests.unit.strategies import QUICK
from training_db.capture.offline.blocks import BlockReader, BlockWriter
from training_db.errors import UnreadableSource

if TYPE_CHECKING:
    from pathlib import Path

    from tests.capture.frames import Framed

MOST_LOST = 3
"""Records that one flipped bit may cost."""

EDGES = [
    BLOCK * blocks - PIECE.size * pieces - len(FILE_HEADER) + more
    for blocks in (1, 2)
    for pieces in (0, 1, 2)
    for more in range(-8, 9)
]
sizes = st.lists(st.integers(0, 200) | st.sampled_from(EDGES) | st.integers(0, 80_000), max_size=8)


def filled(lengths: list[int], seed: int = 0) -> list[bytes]:
    """Payloads of these lengths whose bytes look like nothing."""
    chance = random.Random(seed)  # noqa: S311 - no secrets
    return [chance.randbytes(length) for length in lengths]


def written(payloads: list[bytes]) -> bytes:
    file = io.BytesIO()
    writer = BlockWriter(file)
    for payload in payloads:
        writer.write(payload)
    return file.getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run-r1.wandb"


def read(path: Path, data: bytes) -> tuple[list[bytes], BlockReader]:
    path.write_bytes(data)
    reader = BlockReader(path)
    return list(reader.records()), reader


def lost(kept: list[bytes], framed: Framed) -> int:
    """Return how many records are missing among those kept, none of which is made up."""
    rest = iter(framed.payloads)
    assert all(one in rest for one in kept), "a record that was not written, or out of order"
    return len(framed.payloads) - len(kept)


@QUICK
@given(lengths=sizes)
def test_records_of_any_size_are_written_as_the_format_says(lengths: list[int]) -> None:
    payloads = filled(lengths)

    assert written(payloads) == framed(payloads).data


@QUICK
@given(lengths=sizes)
def test_records_of_any_size_come_back(path: Path, lengths: list[int]) -> None:
    payloads = filled(lengths)

    kept, reader = read(path, framed(payloads).data)

    assert kept == payloads
    assert (reader.damage, reader.is_cut) == ([], False)


@pytest.mark.parametrize("edge", EDGES)
def test_a_record_that_ends_about_the_end_of_a_block_comes_back_with_what_follows(
    path: Path, edge: int
) -> None:
    payloads = filled([edge, 0, 1, BLOCK, 5])

    kept, reader = read(path, written(payloads))

    assert kept == payloads
    assert reader.damage == []


def test_a_log_cut_at_any_byte_keeps_every_record_before_the_cut(path: Path) -> None:
    log = framed(filled([0, 1, 40, 7, 250, 3]))

    for length in range(len(FILE_HEADER), len(log.data) + 1):
        kept, reader = read(path, log.data[:length])
        assert kept == log.whole(length), f"cut at {length}"
        assert reader.is_cut == log.is_inside(length), f"cut at {length}"


def test_a_log_cut_about_the_end_of_a_block_keeps_every_record_before_the_cut(path: Path) -> None:
    log = framed(filled([BLOCK - 40, 5, 100, BLOCK, 2 * BLOCK, 9]))
    ends = [end for block in (1, 2, 3) for end in range(block * BLOCK - 40, block * BLOCK + 40)]

    for length in [*ends, *range(len(log.data) - 30, len(log.data))]:
        kept, reader = read(path, log.data[:length])
        assert kept == log.whole(length), f"cut at {length}"
        assert reader.is_cut == log.is_inside(length), f"cut at {length}"


@pytest.mark.parametrize("length", range(8))
def test_a_file_without_a_record_is_a_log_without_records(path: Path, length: int) -> None:
    kept, reader = read(path, FILE_HEADER[:length])

    assert kept == []
    assert bool(reader.damage) == (length < len(FILE_HEADER))


def test_a_file_of_17_bytes_ends_inside_its_first_record(path: Path) -> None:
    kept, reader = read(path, framed([bytes(60)]).data[:17])

    assert kept == []
    assert reader.is_cut


def test_any_flipped_bit_costs_at_most_three_records(path: Path) -> None:
    log = framed(filled([0, 1, 30, 12, 90, 5, 8, 60, 2, 25, 0, 40]))

    for bit in range(8 * len(FILE_HEADER), 8 * len(log.data)):
        kept, reader = read(path, flipped(log.data, bit))
        missing = lost(kept, log)
        assert missing <= MOST_LOST, f"bit {bit} costs {missing} records"
        assert missing, "a check sum of each record sees every bit"
        assert reader.damage or reader.is_cut, f"nothing is said about bit {bit}"


def test_a_flipped_bit_in_the_head_of_the_file_costs_no_record(path: Path) -> None:
    log = framed(filled([30, 12, 90]))

    for bit in range(8 * len(FILE_HEADER)):
        kept, reader = read(path, flipped(log.data, bit))
        assert kept == log.payloads, f"bit {bit}"
        assert reader.damage, f"nothing is said about bit {bit}"


@pytest.mark.parametrize("seed", range(4))
def test_a_flipped_bit_in_a_log_of_many_blocks_costs_at_most_three_records(
    path: Path, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secrets
    lengths = [chance.choice((20, 300, 3_000, 40_000)) for _ in range(60)]
    log = framed(filled(lengths, seed))
    heads = [start + chance.randrange(PIECE.size) for start in log.starts]  # where it hurts most

    for byte in [*heads, *(chance.randrange(7, len(log.data)) for _ in range(60))]:
        kept, _ = read(path, flipped(log.data, 8 * byte + chance.randrange(8)))
        assert lost(kept, log) <= MOST_LOST, f"a bit of byte {byte}"


def test_a_block_of_zeros_costs_what_stood_in_it(path: Path) -> None:
    log = framed(filled([300] * 400))
    data = log.data[:BLOCK] + bytes(BLOCK) + log.data[2 * BLOCK :]
    expected = [
        payload
        for payload, start, end in zip(log.payloads, log.starts, log.ends, strict=True)
        if end <= BLOCK or start >= 2 * BLOCK
    ]

    kept, reader = read(path, data)

    assert kept == expected
    assert reader.damage


@pytest.mark.parametrize("zeros", [1, 6, 7, 8, 500, BLOCK - 1, BLOCK, 3 * BLOCK + 11])
def test_zeros_at_the_end_cost_nothing(path: Path, zeros: int) -> None:
    log = framed(filled([10, 3_000, 20]))

    kept, _ = read(path, log.data + bytes(zeros))

    assert kept == log.payloads


@QUICK
@given(lengths=sizes, cuts=st.lists(st.floats(0, 1), max_size=8))
def test_a_log_read_while_it_grows_gives_what_the_whole_gives(
    path: Path, lengths: list[int], cuts: list[float]
) -> None:
    log = framed(filled(lengths))
    path.write_bytes(b"")
    stops = sorted(round(cut * len(log.data)) for cut in cuts)
    kept: list[bytes] = []
    path.write_bytes(log.data[: stops[0] if stops else 0])
    reader = BlockReader(path)

    for stop in [*stops, len(log.data)]:
        path.write_bytes(log.data[:stop])
        kept += reader.records()
        assert kept == log.whole(stop)

    assert not reader.is_cut
    assert reader.damage == []


@QUICK
@given(lengths=sizes, where=st.floats(0, 0.999), cuts=st.lists(st.floats(0, 1), max_size=6))
def test_a_damaged_log_read_while_it_grows_loses_no_more_than_three_records(
    path: Path, lengths: list[int], where: float, cuts: list[float]
) -> None:
    log = framed(filled([10, *lengths, 10, 10]))
    first = 8 * len(FILE_HEADER)
    data = flipped(log.data, first + int(where * (8 * len(log.data) - first)))
    path.write_bytes(data[: len(FILE_HEADER)])
    reader = BlockReader(path)
    kept: list[bytes] = []

    for stop in sorted(round(cut * len(data)) for cut in cuts):
        path.write_bytes(data[: max(stop, len(FILE_HEADER))])
        kept += reader.records()
    path.write_bytes(data)
    kept += reader.records()

    assert lost(kept, log) <= MOST_LOST


def test_a_pointer_of_git_lfs_is_named_as_such(path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"

    with pytest.raises(UnreadableSource, match="git lfs pull") as caught:
        read(path, pointer)

    assert path.name in str(caught.value)


@pytest.mark.parametrize("data", [b"SQLite format 3\x00" + bytes(90), b"just a text\n" * 20])
def test_a_file_of_another_kind_is_refused(path: Path, data: bytes) -> None:
    with pytest.raises(UnreadableSource, match=path.name):
        read(path, data)


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)
