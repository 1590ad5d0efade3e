"""The functions for scripts, on the database that the environment names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import training_db
from training_db import functions, get_stats, init_db, insert_run, query_runs
from training_db.errors import ConfigurationError, RunNotFound, SchemaMissing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Let no test see the default database of another."""
    functions._chosen, functions._default = None, None
    yield
    if functions._default is not None:
        functions._default[1].close()
    functions._chosen, functions._default = None, None


@pytest.fixture
def url(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TRAINING_DB_URL", migrated_url)
    return migrated_url


@pytest.mark.usefixtures("url")
def test_a_script_records_a_run_from_launch_to_post() -> None:
    config = {"gradient_method": "mgda", "lr": 0.1, "objectives": ["QED_maximize"]}
    assert training_db.insert_run("r1", "w1", config, "c1", host="gpu-1") == "r1"
    training_db.update_run_status("r1", "running")
    training_db.insert_objective("r1", "SA", direction="minimize")
    training_db.update_objective_metric("r1", "SA", "raw_mean", 2.5)
    assert training_db.update_objectives("r1", {"objectives/QED_maximize/raw_mean": 0.7}) == 1
    training_db.insert_scaffolds("r1", {"c1ccccc1": {"QED": 0.4}})
    training_db.update_run_status("r1", "completed", summary={"loss": 0.5}, history_json={"a": [1]})
    training_db.attach_blog_post("r1", "https://example.org")
    training_db.attach_conversation("r1", "s3://talk")
    training_db.attach_crash_data("r1", "s3://report", crash_analysis_s3_key="s3://why")
    run = training_db.get_run("r1")
    assert run is not None
    assert json.loads(run["config_json"]) == config
    assert (run["wandb_run_id"], run["chain_of_custody_id"], run["host"]) == ("w1", "c1", "gpu-1")
    assert (run["status"], run["final_loss"], run["learning_rate"]) == ("completed", 0.5, 0.1)
    assert (run["blog_post_url"], run["conversation_s3_key"]) == (
        "https://example.org",
        "s3://talk",
    )
    assert run["crash_report_s3_key"] == "s3://report"
    assert run["error_log_s3_key"] is None
    assert run["crash_analysis_s3_key"] == "s3://why"
    assert json.loads(run["history_json"]) == {"a": [1]}
    json.dumps(run)
    for found in (
        training_db.query_runs({"host": "gpu-1"}),
        training_db.query_runs("objective.SA < 3", "final_loss ASC", 10, 0),
        training_db.query_runs_by_objectives({"QED": 0.6, "SA": ("<", 3)}, gradient_method="mgda"),
    ):
        assert [one["run_id"] for one in found] == ["r1"]
    assert training_db.query_runs_by_objectives({"QED": 0.6}, host="gpu-2") == []
    assert len(training_db.query_scaffolds("r1", max_pareto_rank=None)) == 1
    assert training_db.get_stats("status = 'completed'")["total_runs"] == 1


@pytest.mark.usefixtures("url")
def test_attaching_what_is_not_given_leaves_what_is_there() -> None:
    training_db.insert_run("r1")
    training_db.attach_crash_data("r1", error_log_s3_key="s3://log")
    training_db.attach_crash_data("r1", crash_report_s3_key="s3://report")
    run = training_db.get_run("r1")
    assert run is not None
    assert (run["error_log_s3_key"], run["crash_report_s3_key"]) == ("s3://log", "s3://report")


@pytest.mark.usefixtures("url")
def test_a_run_that_is_not_there_is_none_to_get_and_an_error_to_change() -> None:
    assert training_db.get_run("r1") is None
    for change in (
        lambda: training_db.update_run_status("r1", "failed"),
        lambda: training_db.attach_blog_post("r1", "x"),
        lambda: training_db.attach_crash_data("r1"),
        lambda: training_db.attach_conversation("r1", "x"),
    ):
        with pytest.raises(RunNotFound):
            change()


@pytest.mark.usefixtures("url")
def test_runs_by_objectives_are_paged_and_ordered() -> None:
    for number in range(4):
        training_db.insert_run(f"r{number}", created_at=f"2024-01-0{number + 1}")
        training_db.insert_objective(f"r{number}", "QED", raw_mean=number)
    found = training_db.query_runs_by_objectives({"QED": 1}, order_by="run_id", limit=2, offset=1)
    assert [run["run_id"] for run in found] == ["r2", "r3"]
    newest = training_db.query_runs_by_objectives({"QED": ("<", 3)}, limit=1)
    assert [run["run_id"] for run in newest] == ["r2"]


def test_the_environment_may_change_between_two_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    training_db.insert_run("first")
    monkeypatch.setenv("TRAINING_DB_URL", str(tmp_path / "second.db"))
    with pytest.raises(SchemaMissing):
        training_db.get_stats()
    training_db.init_db()
    assert training_db.get_run("first") is None
    training_db.insert_run("second")
    monkeypatch.setenv("TRAINING_DB_URL", url)
    assert training_db.get_run("first") is not None
    assert training_db.get_run("second") is None
    monkeypatch.setenv("TRAINING_DB_URL", "mysql://db/runs")
    with pytest.raises(ConfigurationError):
        training_db.get_run("first")


def test_a_database_that_was_chosen_stays_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training_db.init_db(tmp_path / "chosen.db")
    training_db.insert_run("r1")
    monkeypatch.setenv("TRAINING_DB_PATH", str(tmp_path / "other.db"))
    assert training_db.get_run("r1") is not None
    training_db.init_db()
    assert (tmp_path / "other.db").exists()
    assert training_db.get_run("r1") is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("runs.db", "work/runs.db"),
        ("new/folder/runs.db", "work/new/folder/runs.db"),
        ("./new/", "work/new/training.db"),
        ("~/runs.db", "home/runs.db"),
        ("~/not yet/there/runs.db", "home/not yet/there/runs.db"),
    ],
)
def test_the_path_may_be_relative_or_below_home_or_in_a_folder_that_is_not_there(
    written: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TRAINING_DB_PATH", written)
    training_db.init_db()
    training_db.insert_run("r1")
    assert (tmp_path / meant).is_file()
    assert training_db.get_run("r1") is not None


def test_the_user_data_folder_is_used_where_nothing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    training_db.init_db()
    training_db.insert_run("r1")
    assert (tmp_path / "data" / "training-db" / "training.db").is_file()


def test_an_initialised_database_is_initialised_again_without_a_loss(url: str) -> None:
    training_db.insert_run("r1")
    training_db.init_db()
    training_db.init_db(url)
    assert training_db.get_run("r1") is not None


def test_a_bad_url_leaves_the_database_that_was_chosen_before(tmp_path: Path) -> None:
    init_db(tmp_path / "good.db")
    with pytest.raises(ConfigurationError):
        init_db("mysql://somewhere")
    assert insert_run("r1", config={"lr": 0.1}) == "r1"
    assert query_runs("learning_rate = 0.1")[0]["run_id"] == "r1"


def test_a_database_in_memory_lasts_as_long_as_it_is_the_default() -> None:
    init_db(":memory:")
    insert_run("r1")
    assert get_stats()["total_runs"] == 1
