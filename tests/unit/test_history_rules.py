from __future__ import annotations

from itertools import pairwise

import pytest

from training_db.extraction import SUMMARY_RULES
from training_db.history_rules import AXES, KEY_METRICS, KEY_ROWS, key_stride
from training_db.models import run_history_key_metrics
from training_db.repository.writers import can_be_extended, new_writer


def kept(length: int) -> list[int]:
    return [row for row in range(length) if row % key_stride(row) == 0]


@pytest.mark.parametrize(
    ("row", "stride"),
    [(0, 1), (249, 1), (250, 2), (499, 2), (500, 4), (999, 4), (1_000, 8), (10**6, 4096)],
)
def test_rows_stand_further_apart_the_later_they_come(row: int, stride: int) -> None:
    assert key_stride(row) == stride


def test_a_short_run_keeps_each_row_and_a_long_one_a_few_of_each_doubling() -> None:
    assert kept(KEY_ROWS) == list(range(KEY_ROWS))
    lengths = [len(kept(KEY_ROWS * 2**power)) for power in range(1, 8)]
    assert lengths[0] == 375
    grown = [after - before for before, after in pairwise(lengths)]
    assert all(124 <= growth <= 126 for growth in grown)


def test_a_row_that_is_kept_stays_kept_however_long_the_run_becomes() -> None:
    assert set(kept(350)) == {row for row in kept(50_000) if row < 350}


def test_axes_have_the_names_that_the_field_gives_them() -> None:
    assert AXES["step"] == (
        "_step", "step", "global_step", "train/global_step", "trainer/global_step"
    )  # fmt: skip
    assert AXES["epoch"] == ("_epoch", "epoch", "train/epoch", "trainer/epoch")
    assert AXES["timestamp"] == ("_timestamp", "timestamp")


def test_key_metrics_are_columns_and_follow_the_rules_of_the_summary() -> None:
    for name, rule in KEY_METRICS.items():
        assert name in run_history_key_metrics.c
        assert rule == SUMMARY_RULES[f"final_{name}"]


def test_writers_rise_and_tell_recorders_from_the_others() -> None:
    live, other = new_writer(live=True), new_writer(live=False)
    assert (live % 2, other % 2) == (1, 0)
    assert 0 < live < 2**63
    assert can_be_extended(other)
    assert not can_be_extended(live)
    assert len({new_writer(live=True) for _ in range(4)}) == 4
