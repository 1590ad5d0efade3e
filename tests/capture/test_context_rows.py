"""Which row of a W&B run takes which values: W&B drops none of them."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from training_db.capture.context.rows import OpenRow

STAGES = ("train", "eval", "a/b")
LOGGED = st.tuples(
    st.sampled_from(STAGES),
    st.sampled_from(("loss", "acc")),
    st.one_of(st.integers(-2, 6), st.sampled_from((0.5, 2**60))),
)


class WandB:
    """Rows as W&B takes them: a lower number is dropped, a higher one begins a row."""

    def __init__(self) -> None:
        self.rows: dict[int, dict[str, Any]] = {}

    def log(self, values: dict[str, Any], number: int) -> None:
        if number >= max(self.rows, default=0):
            self.rows.setdefault(number, {}).update(values)


@given(st.lists(LOGGED))
def test_every_value_is_in_a_row_with_the_step_of_its_stage(
    logged: list[tuple[str, str, Any]],
) -> None:
    row, wandb = OpenRow(), WandB()
    for number, (stage, name, step) in enumerate(logged):
        key = f"{stage}/{name}"
        wandb.log({key: number, f"{stage}/step": step}, row.place([key], stage, step))
    found = {
        value: (key, cells[f"{key.rpartition('/')[0]}/step"])
        for cells in wandb.rows.values()
        for key, value in cells.items()
        if not key.endswith("/step")
    }
    assert found == {
        number: (f"{stage}/{name}", step) for number, (stage, name, step) in enumerate(logged)
    }


@given(st.lists(st.integers(0, 100), unique=True))
def test_rising_steps_of_one_stage_are_the_numbers_of_the_rows(steps: list[int]) -> None:
    row = OpenRow()
    for step in sorted(steps):
        assert row.place(["train/loss"], "train", step) == step
        assert row.place(["train/acc"], "train", step) == step


def test_what_somebody_else_logs_is_never_gone_back_behind() -> None:
    row = OpenRow()
    assert row.place(["train/loss"], "train", 3) == 3
    assert row.place(["train/acc"], "train", 3, lowest=7) == 7
    assert row.place(["train/f1"], "train", 3, lowest=7) == 7
