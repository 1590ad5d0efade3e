"""Which columns of a history say where its rows stand, and which of them everyone asks for."""

from __future__ import annotations

from training_db.extraction import SUMMARY_RULES

AXES: dict[str, tuple[str, ...]] = {
    "step": ("_step", "step", "global_step", "train/global_step", "trainer/global_step"),
    "epoch": ("_epoch", "epoch", "train/epoch", "trainer/epoch"),
    "timestamp": ("_timestamp", "timestamp"),
}
"""For each axis the columns that may hold it, best first. Timestamps are in Unix seconds."""

KEY_METRICS: dict[str, tuple[str, ...]] = {
    "loss": SUMMARY_RULES["final_loss"],
    "grad_norm": SUMMARY_RULES["final_grad_norm"],
    "learning_rate": SUMMARY_RULES["final_learning_rate"],
}
"""For each column of ``run_history_key_metrics`` the metrics it is filled from, best first."""

KEY_ROWS = 250
"""Rows of a writer that ``run_history_key_metrics`` has each of."""


def key_stride(row: int) -> int:
    """Return how far apart the rows stand that ``run_history_key_metrics`` has around this one.

    Args:
        row: A row number of a writer.

    Returns:
        1 for the first 250 rows, 2 up to row 500, 4 up to row 1,000, and so on: some 125 rows each
        time that a run becomes twice as long.

    Example:
        >>> [key_stride(row) for row in (0, 249, 250, 499, 500, 100_000)]
        [1, 1, 2, 2, 4, 512]
    """
    return 1 << (row // KEY_ROWS).bit_length()
