"""``training-db history plot``: in a terminal, in a pipe, and as a page."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.cli.terminal import on_terminal
from training_db import TrainingDB
from training_db.cli.plot import _rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer

    Cli = Callable[..., Answer]

NAN, INF = float("nan"), float("inf")


@pytest.fixture(autouse=True)
def runs(migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "training.db"
    shutil.copy(migrated_file, path)
    monkeypatch.setenv("TRAINING_DB_PATH", str(path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    with TrainingDB(path) as db:
        db.runs.insert("r1"), db.runs.insert("r2"), db.runs.insert("</script>\x1b[31m")
        db.history.append("r1", {
            "loss": [2.0, NAN, 1.0, INF, 0.5, -1.0], "lr": [0.1] * 6, "note": list("abcdef"),
            "_timestamp": [1.7e9 + place for place in range(6)],
        })  # fmt: skip
        db.history.append("r2", {"loss": [3.0, 2.0, 1.0]})
        db.history.append("</script>\x1b[31m", {"<b>": [1.0, 2.0]})
    return path


def test_a_metric_is_drawn_with_its_name_above_and_its_steps_beneath(cli: Cli) -> None:
    answer = cli("history", "plot", "r2", "loss")
    rows = answer.out.splitlines()
    assert (answer.code, answer.err) == (0, "")
    assert rows[0] == "loss over step"
    assert rows[1] == "⠒⠒ r2"
    assert rows[-1].split() == ["0", "1", "2"]
    assert re.search("[⠁-⣿]", rows[3])
    assert "\x1b" not in answer.out
    assert max(map(len, rows)) == 80


def test_without_metrics_it_is_the_loss_and_runs_go_by_their_number(cli: Cli) -> None:
    assert cli("history", "plot", "2").out == cli("history", "plot", "r2", "loss").out


def test_what_is_not_finite_is_counted_beneath(cli: Cli) -> None:
    rows = cli("history", "plot", "r1", "loss").out.splitlines()
    assert rows[-1] == "r1: 1 NaN (first at step 1), 1 +Inf (first at step 3)"
    rows = cli("history", "plot", "r1", "loss", "--log").out.splitlines()
    assert rows[0] == "loss over step, logarithmic"
    assert rows[-1].endswith("1 0 or less (first at step 5)")
    rows = cli("history", "plot", "r1", "loss", "--x", "timestamp").out.splitlines()
    assert rows[0] == "loss over time (UTC)"
    assert "first at timestamp 2023-11-14T22:13:21.000000Z" in rows[-1]


def test_a_metric_without_a_finite_value_is_told_and_not_drawn(cli: Cli, runs: Path) -> None:
    with TrainingDB(runs) as db:
        db.runs.insert("r4")
        db.history.append("r4", {"loss": [NAN] * 3, "gap": [0.0, -1.0]})
    answer = cli("history", "plot", "r4", "loss")
    assert (answer.code, answer.err) == (0, "loss: there is no finite value to plot\n")
    assert answer.out == "r4: 3 NaN (first at step 0)\n"
    answer = cli("history", "plot", "r4", "gap", "--log")
    assert answer.err == "gap: there is no value above 0 to plot\n"
    assert answer.out == "r4: 2 0 or less (first at step 0)\n"
    assert "┌" in cli("history", "plot", "r4", "loss", "--compare", "r2").out


def test_runs_are_compared_in_one_plot_and_told_apart_without_colours(cli: Cli) -> None:
    out = cli("history", "plot", "r1", "loss", "lr", "--compare", "2", "--smooth", "0.5").out
    loss, lr = out.split("\n\n")
    assert loss.splitlines()[:2] == ["loss over step, smoothed by 0.5", "⠒⠒ r1   oo r2"]
    assert "o" in loss.split("r2\n")[1]
    assert lr.splitlines()[1] == "⠒⠒ r1"
    assert lr.splitlines()[-1] == "r2 has no lr"


def test_a_smoothed_line_is_another_one(cli: Cli) -> None:
    raw, smooth = (
        cli("history", "plot", "r1", "loss", *more).out.splitlines()[2:]
        for more in ((), ("--smooth", "0.9"))
    )
    assert len(raw) == len(smooth)
    assert raw[1:-2] != smooth[1:-2]


def test_the_size_can_be_said(cli: Cli) -> None:
    out = cli("history", "plot", "r2", "loss", "--width", "50", "--height", "9").out
    assert len(out.splitlines()) == 2 + 9
    assert max(map(len, out.splitlines())) == 50


def test_a_plot_fills_the_screen_and_several_share_it() -> None:
    assert [_rows(24, 1), _rows(60, 1), _rows(60, 3), _rows(24, 9)] == [19, 32, 15, 10]


def test_only_some_steps_can_be_drawn(cli: Cli) -> None:
    rows = cli("history", "plot", "r2", "loss", "--steps", "1:").out.splitlines()
    assert (rows[-1].split()[0], rows[-1].split()[-1]) == ("1", "2")
    answer = cli("history", "plot", "r2", "loss", "--steps", "10:20")
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == "loss: there are no numbers to plot\n"


def test_text_is_no_curve(cli: Cli) -> None:
    assert cli("history", "plot", "r1", "note").err == "note: there are no numbers to plot\n"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("r2", "los"), 1, "did you mean 'loss'"),
        (("r9",), 1, "there is no run 'r9'"),
        (("r2", "--compare", "r9"), 1, "there is no run 'r9'"),
        (("r2", "--smooth", "1"), 2, "below 1"),
        (("r2", "--smooth", "nan"), 2, "below 1"),
        (("r2", "--steps", "a"), 2, "range of steps"),
        (("r2", "-o", "loss.png"), 2, "FILE.html"),
        (("3",), 2, "name one of its metrics: <b>"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    cli: Cli, arguments: tuple[str, ...], code: int, said: str
) -> None:
    answer = cli("history", "plot", *arguments)
    assert (answer.code, answer.out) == (code, "")
    assert said in " ".join(answer.err.replace("│", " ").split())


def test_a_page_of_curves_needs_no_network(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "curves.html"
    answer = cli("history", "plot", "r1", "loss", "lr", "--compare", "r2", "-o", str(file))
    assert (answer.code, answer.out) == (0, "")
    assert answer.err == f"wrote 2 figures of 2 runs to {file}\n"
    page = file.read_text()
    assert "Content-Security-Policy" in page
    assert not re.search("<(script|img|iframe)[^>]* src|<link", page)
    assert "Curves of loss of 2 runs over step" in page
    assert "Comparison of runs" in page


def test_a_page_shows_names_as_they_are(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "curves.html"
    answer = cli("history", "plot", "3", "<b>", "-o", str(file))
    assert answer.err == f"wrote 1 figure of 1 run to {file}\n"
    page = file.read_text()
    assert "Training run<" in page
    assert "&lt;b&gt;" in page
    assert "\x1b" not in page


def test_a_page_that_cannot_be_written_is_said(cli: Cli, tmp_path: Path) -> None:
    answer = cli("history", "plot", "r1", "loss", "-o", str(tmp_path / "no" / "curves.html"))
    assert answer.code == 1
    assert "was not written" in answer.err


def test_a_terminal_gets_colours_and_names_cannot_control_it() -> None:
    answer = on_terminal("history", "plot", "3", "<b>", width=100)
    assert answer.code == 0
    assert "\x1b[38;5;33m" in answer.out
    assert "\x1b[31m" not in answer.out
    assert "</script> [31m" in answer.out
    plain = on_terminal("history", "plot", "r2", "loss", width=100, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*38;5", plain.out)
