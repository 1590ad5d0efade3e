"""Every command, given odd words: it ends with 0, 1 or 2 and a line, and never with a traceback."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from tests import torture
from tests.cli.test_commands import LEAVES
from tests.security.odd_arguments import HOSTILE, KNOWN
from tests.torture import rounds
from tests.unit.strategies import QUICK
from training_db import TrainingDB

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tests.cli.terminal import Answer

FUZZED = settings(
    QUICK, max_examples=rounds(25, under_torture=5_000), derandomize=not torture.IS_ON
)
FUZZABLE = sorted(one for one in LEAVES if one != ("import", "wandb"))
"""All but the one that asks a server; tests/capture has one that answers with all that is odd."""
FOREVER = {"follow", "watch"}
"""Options with which a command goes on until somebody stops it."""
words = st.one_of(
    st.sampled_from(KNOWN),
    st.sampled_from(HOSTILE),
    st.sampled_from(["-1", "0", "1e999", "9" * 30, "nan", "", " ", "-", "--", ".", "..", "\udcff"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
)


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Draw a command, its arguments, and some of its options."""
    line: list[str] = [*draw(st.sampled_from(FUZZABLE))]
    parameters = LEAVES[tuple(line)].params
    for one in parameters:
        is_option = one.param_type_name == "option"
        if one.name in FOREVER or (is_option and not one.required and draw(st.integers(0, 2))):
            continue
        if is_option and one.is_flag:
            line.append(draw(st.sampled_from([*one.opts, *one.secondary_opts])))
            continue
        value = draw(words)
        if is_option:
            line += [one.opts[0], value]
        else:
            line += ["--", value] if value.startswith("-") and "--" not in line else [value]
    return line


def test_any_command_with_any_words_does_its_work_or_says_why_not(
    cli: Callable[..., Answer],
    tmp_path: Path,
    migrated_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAINING_DB_PATH", "runs.db")
    monkeypatch.setenv("TRAINING_DB_SPOOL_DIR", str(tmp_path / "spool"))

    @FUZZED
    @given(command_lines())
    def fuzz(line: list[str]) -> None:
        shutil.copy(migrated_file, "runs.db")
        with TrainingDB("runs.db") as db:
            db.runs.insert("r1", config={"a": 1, "objectives": ["QED"]}, host="h")
            db.history.append("r1", {"loss": [2.0, 1.0]})
        answer = cli(*line)
        assert answer.code in (0, 1, 2)
        assert "Traceback" not in answer.err
        assert answer.code == 0 or answer.err or answer.out

    fuzz()
