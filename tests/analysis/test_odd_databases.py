"""Analyses of odd databases, by library and command line: an answer, or an error of our own."""

from __future__ import annotations

import json
import math
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from tests import torture
from training_db import TrainingDBError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer
    from training_db import TrainingDB

    Cli = Callable[..., Answer]

METRICS = (
    "loss", "it's", "a.b.c", 'say "hi"', "日本/µ", "new\nline", "100%s", "grad_norm", "loss.min",
    "-m", "objective/QED_maximize", "objective/SA_minimize", "<script>alert(1)</script>",
    "\x1b[31mred", "\u202eback", "[bold]x[/bold]",
)  # fmt: skip
RUN_IDS = ("1", "-x", "<b>", "</script><script>", "../up", "x" * 300, "é\n2", "100%s", "--json")
OBJECTIVES = ("QED", "SA", "it's", "a.b", "new\nline", "100%s")
CURVES: tuple[Callable[[int], list[Any]], ...] = (
    lambda n: np.exp(-np.arange(n) / 10).tolist(),
    lambda n: [math.nan] * n,
    lambda n: [(math.nan, math.inf, -math.inf, 0.5)[place % 4] for place in range(n)],
    lambda n: [(None, "x", True, [1], 10**30, 0.5)[place % 6] for place in range(n)],
    lambda n: [1e308 if place % 2 else -1e308 for place in range(n)],
)
HUGE = {
    f"layer {place}": {"<i>": "x" * 300, "nan": math.nan, "m'n": 10**40, "k.l": {"%": [None, {}]}}
    for place in range(50)
}


@pytest.fixture
def odd(db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> TrainingDB:
    """Runs with odd names and values, two as others left them, and one in the trash."""
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    for place, run_id in enumerate(RUN_IDS):
        db.runs.insert(
            run_id,
            config=(None, {}, HUGE, {"lr": "1e-4", "a": {"b": place}})[place % 4],
            run_name=("", "<b>\n%s", None)[place % 3],
            host=("h'1", "h\n2", None)[place % 3],
            gradient_method=("mgda", "<b>", "it's")[place % 3],
            status=("completed", "failed", "crashed", "running", "launched")[place % 5],
            final_loss=(math.nan, math.inf, None, 0.5)[place % 4],
            duration_seconds=(None, 0, 2**62)[place % 3],
            created_at=("2024-01-01", None, "9999-12-31 23:59:59")[place % 3],
            summary=({"loss": math.nan}, {"a.b": 1e308}, None)[place % 3],
        )
        names = [name for at, name in enumerate(METRICS) if (at + place) % 4]
        curves = [CURVES[(at + place) % 5]((1, 9, 60)[at % 3]) for at in range(len(names))]
        for name, curve in zip(names, curves, strict=True):
            db.history.append(run_id, {name: curve})
        for at, name in enumerate(OBJECTIVES[: place % 7]):
            score = (0.5 + place, math.nan, math.inf, None, 1e308, -1e308)[(at + place) % 6]
            db.objectives.insert(
                run_id, name, raw_mean=score, direction=("maximize", "minimize")[at % 2]
            )
        scores = ({"QED": place, "SA": 1.0}, {"QED": "x"}, None, {"QED": math.nan})[place % 4]
        db.scaffolds.insert(run_id, [{"scaffold_id": "s'<b>", "scores": scores}])
        db.tags.add(run_id, "baseline", "good")
    db.runs.insert("adopted")
    db.runs.insert("trash", config={"lr": 1})
    db.history.append("trash", {"loss": [1.0, 0.5] * 20})
    db.objectives.insert("trash", "QED", raw_mean=9.0, direction="maximize")
    db.runs.delete("trash")
    engine = create_engine(db.url)
    with engine.begin() as connection:  # as another program may have left it
        broken = "config_json = '{broken', final_metrics_json = '[1]'"
        connection.execute(text(f"UPDATE training_runs SET {broken} WHERE run_id = 'adopted'"))
    engine.dispose()
    return db


@pytest.fixture
def empty(db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> TrainingDB:
    """A database without runs, which the environment names."""
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    return db


@pytest.fixture
def empty_file(migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in a file, for what does not look at its tables."""
    shutil.copy(migrated_file, tmp_path / "training.db")
    monkeypatch.setenv("TRAINING_DB_PATH", str(tmp_path / "training.db"))


def questions(db: TrainingDB, metric: str, run_id: str, objective: str) -> list[Callable[[], Any]]:
    ask = db.analysis
    return [
        lambda: ask.plateaus(metric, save=True),
        lambda: ask.instabilities(metric, direction="minimize", save=True),
        lambda: ask.explosions(metric, save=True),
        lambda: ask.convergence(metric, save=True),
        lambda: ask.conflicts(save=True),
        lambda: ask.conflicts(run_id=run_id, objectives=[objective, "SA"]),
        lambda: ask.findings(run_id),
        ask.pareto,
        lambda: ask.pareto({objective: "max", "final_loss": "min"}).as_dict(),
        lambda: ask.pareto({f"metric.{metric}": "min"}).as_dict(),
        lambda: ask.scaffold_pareto({objective: "max", "SA": "min"}, scope="all").as_dict(),
        lambda: ask.scaffold_pareto({"QED": "max"}, run_id=run_id).as_dict(),
        lambda: ask.groups("host", objective, metric=metric).as_dict(),
        lambda: ask.groups("config.a.b").as_dict(),
        lambda: ask.bands(metric, by="host", n=10),
        lambda: ask.side_by_side([run_id, "adopted"], everything=True).as_dict(),
        lambda: ask.crashes(by=["host", "config.a"]).as_dict(),
        lambda: ask.costs({"p4": 3.0}).as_dict(),
        ask.without_blog_post,
        lambda: ask.sensitivity(objective, seeds=2).as_dict(),
        lambda: ask.regression(metric, run_id, direction="min", save=True).as_dict(),
        lambda: ask.regression(objective, baseline="good", direction="max").as_dict(),
    ]


def commands(metric: str, run_id: str, objective: str) -> list[list[str]]:
    looks = [
        ["analyze", name, *more, "--", metric]
        for name in ("plateau", "instability", "explosions", "convergence")
        for more in ([], ["--json", f"--run={run_id}"])
    ]
    asked = [
        [*one, *more]
        for one in (
            ["analyze", "conflicts"], ["analyze", "conflicts", f"--run={run_id}"],
            ["analyze", "pareto", f"{objective}:max", "final_loss:min"],
            ["analyze", "pareto", "--scaffolds", "QED:max", "--max-rank", "3"],
            ["analyze", "groups", "host", f"--metric={metric}"],
            ["analyze", "groups", f"--objective={objective}"],
            ["analyze", "crashes", "--by=config.a"], ["analyze", "costs"], ["analyze", "unposted"],
            ["analyze", "regression", "--direction=min", "--filter=status = 'completed'", "loss"],
            ["analyze", "run", f"{run_id}"] if not run_id.startswith("-") else ["analyze", "costs"],
        )
        for more in ([], ["--json"])
    ]  # fmt: skip
    return [
        *looks,
        *asked,
        ["analyze", "sensitivity", "--json", "--seeds=2", "--", metric],
        ["analyze", "regression", "--json", "--direction=max", "--tolerance=5%", "--", objective],
        ["report", "--format=markdown", "-o", "-", f"--run={run_id}"],
        ["report", "--format=markdown", "-o", "-", "--kind=project"],
        ["history", "plot", "--width=40", "--height=6", "--log", "--", run_id, metric],
        ["history", "plot", "--width=40", "--height=6", "--smooth=0.5", "--", run_id],
    ]


def check(answer: Answer, command: list[str]) -> None:
    """See that a command ended as promised, without control of the terminal and as whole JSON."""
    assert answer.code in (0, 1, 2), command
    assert "Traceback" not in answer.err, command
    assert answer.code == 0 or answer.err or "regression" in command, command
    assert not {"\x1b", "\u202e"} & set(answer.err), command
    if "--json" in command and answer.code == 0:
        json.loads(answer.out)
    elif "report" not in command:
        assert "\x1b" not in answer.out, command


IDS = (*RUN_IDS, "adopted", "trash", "nobody")
ODDS = list(zip(METRICS, IDS * 2, OBJECTIVES * 3, strict=False))


def test_odd_runs_are_answered_or_refused(odd: TrainingDB) -> None:
    for place, names in enumerate(ODDS):
        for ask in questions(odd, *names)[place % 5 :: 5]:
            with suppress(TrainingDBError):
                ask()


def test_an_empty_database_is_answered_or_refused(empty: TrainingDB) -> None:
    for ask in questions(empty, "loss", "r1", "QED"):
        with suppress(TrainingDBError):
            ask()
    assert empty.analysis.conflicts() == []
    assert empty.analysis.without_blog_post() == []
    assert empty.analysis.groups("host").groups == ()


@torture.on_one_backend
def test_commands_end_as_promised_on_odd_runs(odd: TrainingDB, cli: Cli) -> None:
    assert odd.url
    for place, names in enumerate(ODDS):
        # Another part of them for each, so that all are asked.
        for command in commands(*names)[place % 16 :: 16]:
            check(cli(*command), command)


@pytest.mark.usefixtures("empty_file")
def test_commands_end_as_promised_without_runs(cli: Cli) -> None:
    for command in commands("loss", "r1", "QED"):
        answer = cli(*command)
        check(answer, command)
        if "--run=r1" in command or "r1" in command:
            assert answer.code == 1, command


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_a_page_of_odd_runs_runs_none_of_their_names(odd: TrainingDB, cli: Cli) -> None:
    assert odd.url
    answer = cli("report", "-o", "-", "--kind=comparison", "--run=<b>", "--run=</script><script>")
    assert (answer.code, answer.err) == (0, "")
    assert "<script>alert(1)" not in answer.out
    assert "</script><script>" not in answer.out.replace("</script>\n", "")


@pytest.mark.parametrize("migrated_url", ["sqlite"], indirect=True)
def test_names_in_errors_do_not_control_the_terminal(odd: TrainingDB, cli: Cli) -> None:
    assert odd.url
    answer = cli("analyze", "plateau", "nope")
    assert (answer.code, answer.out) == (1, "")
    assert "[31mred" in answer.err
    assert not {"\x1b", "\u202e"} & set(answer.err)


def test_a_run_in_the_trash_counts_nowhere(odd: TrainingDB) -> None:
    ask = odd.analysis
    everywhere = [
        [look.run_id for look in ask.plateaus("loss")],
        [look.run_id for look in ask.conflicts()],
        list(ask.pareto({"QED": "max"}).ranks),
        list(ask.pareto({"QED": "max"}).missing),
        [run["run_id"] for run in ask.without_blog_post()],
    ]
    assert all("trash" not in run_ids and len(run_ids) > 1 for run_ids in everywhere)
    assert sum(group.runs for group in ask.groups("host").groups) == len(RUN_IDS) + 1


@pytest.mark.usefixtures("empty_file")
@pytest.mark.parametrize(
    "broken",
    ['{"a":' * 50_000, '"' + "a" * 200_000 + '",1', '{"p4": "x"}'],
    ids=["deep", "long", "no number"],
)
def test_prices_that_cannot_be_read_are_bad_usage(cli: Cli, tmp_path: Path, broken: str) -> None:
    prices = tmp_path / "prices"
    prices.write_text(broken)
    answer = cli("analyze", "costs", "--prices", str(prices))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("training-db: ")


def test_three_thousand_runs_are_answered(empty: TrainingDB) -> None:
    chance = np.random.default_rng(0)
    values = chance.random((3_000, 2)).tolist()
    empty.runs.insert_many(
        {
            "run_id": f"r{place}", "gradient_method": f"m{place % 4}", "status": "completed",
            "config": {"lr": rate, "name": f"n{place}"}, "final_loss": loss,
            "summary": {"objectives/QED_maximize/raw_mean": 1.0 - rate},
        }
        for place, (rate, loss) in enumerate(values)
    )  # fmt: skip
    ask = empty.analysis
    assert sum(group.runs for group in ask.groups("gradient_method").groups) == 3_000
    front = ask.pareto({"QED": None, "final_loss": "min"})
    assert len(front.ranks) == 3_000
    assert front.dominates(front.front[0])
    assert len(ask.without_blog_post()) == 3_000
    matters = [one.name for one in ask.sensitivity("QED", seeds=2).importances if one.matters]
    assert matters == ["lr"]
    assert ask.regression("final_loss").is_worse is False
