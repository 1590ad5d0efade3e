"""The commands of docs/moving.md run as they stand there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from tests.transfer.databases import fill
from tests.transfer.truth import contents, differences

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from tests.cli.terminal import Answer
    from tests.transfer.conftest import Places

PAGE = Path(__file__).resolve().parents[2] / "docs" / "moving.md"
SERVER = "postgresql://ann@db.example.org/runs"


def test_the_page_on_moving_runs_as_it_stands(
    places: Places, cli: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = Path(places.migrated("sqlite").removeprefix("sqlite:///")).rename(tmp_path / "runs.db")
    fill(f"sqlite:///{file}")
    server = places.nothing("postgresql")
    commands = re.findall(r"^ *\$ training-db (.*)$", PAGE.read_text(), re.MULTILINE)

    answers = [cli(*shlex.split(command.replace(SERVER, server))) for command in commands]

    assert [answer.code for answer in answers] == [0] * 6, answers
    assert not (tmp_path / "rehearsal.db").exists()
    for copy in (server, f"sqlite:///{tmp_path / 'offline.db'}"):
        assert differences(contents(f"sqlite:///{file}"), contents(copy)) == {}
