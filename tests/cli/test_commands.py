"""Every command there is: it explains itself, and the page of the command line has it."""

from __future__ import annotations

from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

from training_db.cli import app
from training_db.errors import DatabaseError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cli.terminal import Answer
    from training_db import TrainingDB

    Cli = Callable[..., Answer]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
WITHOUT_DATABASE = {"copy", "history-of-schema", "spool status", "spool drop"}
WITHOUT_JSON = {  # they list nothing
    "upgrade", "downgrade", "adopt", "history export", "history plot", "report",
}  # fmt: skip


def walk(command: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield names, command
    for name, one in getattr(command, "commands", {}).items():
        yield from walk(one, (*names, name))


COMMANDS = dict(walk(get_command(app)))
LEAVES = {names: one for names, one in COMMANDS.items() if not hasattr(one, "commands")}


@pytest.mark.parametrize("names", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(cli: Cli, names: tuple[str, ...]) -> None:
    answer = cli(*names, "-h")
    assert (answer.code, answer.err) == (0, "")
    assert "Usage" in answer.out
    assert {"--help", "-h"} <= set(answer.out.split())  # either way


@pytest.mark.parametrize("names", LEAVES, ids=" ".join)
def test_every_command_is_documented_to_its_last_option(names: tuple[str, ...]) -> None:
    command = LEAVES[names]
    assert command.help
    assert [one.name for one in command.params if not getattr(one, "help", None)] == []
    page = unescape(PAGE.read_text())
    _, _, section = page.partition(f" `training-db {' '.join(names)}`\n")
    section = section.partition("\n## ")[0].partition("\n### ")[0]
    assert command.help.splitlines()[0] in section
    spelled = [one.opts[0] for one in command.params if one.param_type_name == "option"]
    assert [option for option in spelled if option not in section] == []


@pytest.mark.parametrize("names", LEAVES, ids=" ".join)
def test_what_lists_something_does_so_as_json_too(names: tuple[str, ...]) -> None:
    options = {option for one in LEAVES[names].params for option in one.opts}
    assert ("--json" in options) == (" ".join(names) not in WITHOUT_JSON)
    assert ("--url" in options) == (" ".join(names) not in WITHOUT_DATABASE)


def test_ctrl_c_that_a_driver_complains_of_is_ctrl_c_all_the_same(
    cli: Cli, filled: TrainingDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        try:
            raise KeyboardInterrupt  # noqa: TRY301 - as a signal does
        except KeyboardInterrupt:
            message = "another command is already in progress"
            raise DatabaseError(message)  # noqa: B904 - as drivers do

    monkeypatch.setattr(type(filled.statistics), "overview", interrupted)
    answer = cli("stats")
    assert (answer.code, answer.out, answer.err) == (130, "", "")
