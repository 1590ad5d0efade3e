"""``training-db analyze groups``, ``crashes``, ``costs`` and ``unposted``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.terminal import Answer, answered

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from training_db import TrainingDB

    Cli = Callable[..., Answer]


@pytest.fixture(autouse=True)
def filled(db: TrainingDB, monkeypatch: pytest.MonkeyPatch) -> TrainingDB:
    """Three methods, of which one is better by far and another crashes."""
    with db.transaction():
        _fill(db)
    monkeypatch.setenv("TRAINING_DB_URL", db.url.render_as_string(hide_password=False))
    return db


def _fill(db: TrainingDB) -> None:
    for place, method in enumerate(("mgda", "sum", "pcgrad")):
        for number in range(6):
            run_id = f"{method}-{number}"
            is_lost = method == "sum" and number < 5
            db.runs.insert(
                run_id, gradient_method=method, host="gpu-1", duration_seconds=3600,
                status="crashed" if is_lost else "completed", config={"layers": number % 2},
            )  # fmt: skip
            db.objectives.insert(run_id, "QED", raw_mean=0.8 - 0.3 * (place > 0) + number / 100)
            db.history.append(run_id, {"loss": [1.0, number / 10]})
            if is_lost:
                db.events.add(run_id, "error", f"NCCL timeout on rank {number}\n at line 3")
    db.tags.add("mgda-0", "instance_type", "p4d")
    db.runs.update("mgda-0", blog_post_url="https://example.org/0")


def test_groups_are_listed_with_their_means_and_a_verdict(cli: Cli) -> None:
    answer = cli("analyze", "groups")
    assert (answer.code, answer.err) == (0, "")
    heading, *rows = answer.out.splitlines()
    assert heading.split() == [
        "gradient_method", "runs", "ended", "completed", "success", "mean_seconds", "QED",
    ]  # fmt: skip
    assert [row.split()[0] for row in rows[:3]] == ["mgda", "pcgrad", "sum"]
    assert "1 [0.61, 1]" in rows[0]
    assert "0.825 [0.8" in rows[0]
    assert "of 6" in rows[0]
    assert "QED: the groups differ by more than noise (Kruskal-Wallis" in answer.out
    assert "  mgda is 100% of the time above sum (p = " in answer.out
    assert "pcgrad is" not in answer.out


def test_groups_may_be_made_by_any_attribute_of_some_runs(cli: Cli) -> None:
    answer = cli(
        "analyze", "groups", "config.layers", "gradient_method = 'mgda'", "-m", "loss", "--json"
    )
    found = answered(answer)
    assert [(one["value"], one["runs"]) for one in found["groups"]] == [(0, 3), (1, 3)]
    assert found["groups"][1]["measures"]["loss"]["mean"] == pytest.approx(0.3)
    assert list(found["tests"]) == ["loss"]
    assert found["tests"]["loss"]["verdict"] == "too few runs to tell"
    both = answered(cli("analyze", "groups", "host", "-m", "loss", "-o", "QED", "--json"))
    assert set(both["tests"]) == {"loss", "QED"}


def test_a_question_that_cannot_be_answered_is_bad_usage(cli: Cli) -> None:
    for arguments in (
        ["groups", "colour"], ["groups", "host", "-o", "QUED"], ["groups", "--confidence", "95"],
        ["groups", "host", "status ="], ["crashes", "--by", "colour"], ["costs", "--by", "colour"],
    ):  # fmt: skip
        answer = cli("analyze", *arguments)
        assert (answer.code, answer.out) == (2, "")
        assert "Traceback" not in answer.err
    assert cli("analyze", "groups", "host", "-m", "lss").code == 1


def test_crashes_are_told_by_method_and_host(cli: Cli) -> None:
    answer = cli("analyze", "crashes")
    assert answer.code == 0
    methods, hosts = answer.out.split("\n\n")
    first = methods.splitlines()[1]
    assert first.startswith("sum")
    assert "NCCL timeout on rank" in first
    assert "at line 3" not in first
    assert first.endswith("more than noise")
    assert hosts.splitlines()[1].startswith("gpu-1")
    found = answered(cli("analyze", "crashes", "--by", "config.layers", "--json"))
    assert list(found["by"]) == ["config.layers"]
    assert [one["crashed"] for one in found["by"]["config.layers"]] == [3, 2]


def test_hours_are_priced_by_a_file(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "prices"
    path.write_text("instance_type,price\np4d,32.5\n")
    answer = cli("analyze", "costs", "--prices", str(path))
    assert answer.code == 0
    rows = [line.split() for line in answer.out.splitlines()]
    assert rows[1] == ["p4d", "1", "0", "0", "1", "32.5", "32.5"]
    assert rows[2][:2] == ["-", "17"]
    assert "18.00 hours in all, cost 32.50; 17.00 hours have no price" in answer.out
    answer = cli("analyze", "costs", "--prices", str(path), "--by", "host", "--json")
    assert answer.err == "no run that matches is of these priced types: p4d\n"
    found = json.loads(answer.out)
    assert (found["hours"], found["cost"]) == (18.0, 0)


def test_hours_are_told_without_prices(cli: Cli) -> None:
    answer = cli("analyze", "costs", "gradient_method = 'mgda'")
    assert answer.out.endswith("6.00 hours in all\n")


def test_prices_that_cannot_be_read_are_bad_usage(cli: Cli, tmp_path: Path) -> None:
    for name, text in {"lines": "p4d\n", "prices": '{"p4d": "much"}', "missing": None}.items():
        path = tmp_path / name
        if text is not None:
            path.write_text(text)
        answer = cli("analyze", "costs", "--prices", str(path))
        assert (answer.code, answer.out) == (2, "")
        assert "price" in answer.err


def test_runs_without_a_blog_post_are_listed(cli: Cli) -> None:
    answer = cli("analyze", "unposted", "gradient_method = 'mgda'")
    assert answer.code == 0
    assert [line.split()[1] for line in answer.out.splitlines()[1:]] == [
        f"mgda-{number}" for number in (5, 4, 3, 2, 1)
    ]
    answer = cli("analyze", "unposted", "--limit", "2")
    assert len(answer.out.splitlines()) == 3
    assert answer.err == "and 15 more; --limit shows them\n"
    assert len(json.loads(cli("analyze", "unposted", "--json").out)) == 17


def test_nothing_that_matches_is_said_in_a_sentence(cli: Cli) -> None:
    for command in (["groups", "host"], ["crashes"], ["costs"]):
        answer = cli("analyze", *command, "--filter", "host = 'none'")
        assert answer.code == 0
        assert "no run matches" in answer.err
    assert cli("analyze", "unposted", "host = 'none'").err == "no run matches\n"
    assert "every run that matches has one" in cli("analyze", "unposted", "run_id = 'mgda-0'").err


def test_a_field_that_no_run_has_is_said(cli: Cli) -> None:
    answer = cli("analyze", "groups", "config.lrr")
    assert (answer.code, answer.err) == (0, "no run that matches has config.lrr\n")
    answer = cli("analyze", "costs", "--by", "config.x", "--by", "tag.y")
    assert (answer.code, answer.err) == (0, "no run that matches has config.x or tag.y\n")
    for command in (["groups", "config.layers"], ["costs", "--by", "host"], ["costs"]):
        assert cli("analyze", *command).err == ""


def test_prices_of_no_run_are_named(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "prices"
    path.write_text("p4d,32.5\np4,1.5\n")
    answer = cli("analyze", "costs", "--prices", str(path))
    assert answer.err == "no run that matches is of these priced types: p4\n"


def test_of_many_pairs_that_differ_the_first_are_listed(cli: Cli, db: TrainingDB) -> None:
    with db.transaction():
        for number in range(70):
            db.runs.insert(f"m{number}", host=f"host-{number % 7}", gradient_method="x")
            db.objectives.insert(f"m{number}", "QED", raw_mean=number % 7 + number / 1000)
    answer = cli("analyze", "groups", "host", "gradient_method = 'x'")
    assert answer.out.count("of the time above") == 20
    assert answer.out.endswith("  and 1 pairs more; --json has them all\n")
