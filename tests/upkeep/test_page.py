"""The page on the upkeep runs as it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.test_docs import answers_to_the_commands_of, shown_by_the_code_of
from training_db import TrainingDB

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.cli.terminal import Answer

    Cli = Callable[..., Answer]


def test_the_page_on_the_upkeep_runs_as_it_stands(
    tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shown_by_the_code_of("docs/upkeep.md", tmp_path) == ""
    answers = answers_to_the_commands_of("docs/upkeep.md", tmp_path, cli, monkeypatch)
    shown = "\n".join(answer.out for answer in answers)
    for part in (
        "monday.backup: ", "restored monday.backup, schema v3", "run_history_segments     1 ",
        "deleted 1 run for good", "1,798 of 2,000 values would go",
    ):  # fmt: skip
        assert part in shown
    with TrainingDB(tmp_path / "runs.db") as db:
        assert db.history.counts("run-1") == {"loss": 101}
        assert db.runs.find("run-3") is None
    with TrainingDB(tmp_path / "restored.db") as db:
        assert db.history.counts("run-3") == {"loss": 1_000}
