"""W&B's server fails, in each of the ways that servers do: the import ends, and says why."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from tests.capture.remote_server import _served, rows, wandb_server, whole_run
from tests.capture.stored_runs import StoredRun
from tests.cli.terminal import COMMAND, environment
from training_db import TrainingDB
from training_db.capture import import_wandb_project
from training_db.capture.storing.run_store import RunStore
from training_db.errors import (
    ConfigurationError,
    DatabaseError,
    DatabaseUnavailable,
    NotFound,
    SchemaMissing,
    SourceUnavailable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.capture.graphql_server import WandBServer

__all__ = ["_served", "wandb_server"]

SCAN = "HistoryPage"


@pytest.fixture
def db(migrated_file: Path, tmp_path: Path) -> Iterator[TrainingDB]:
    """A database on SQLite: what a server does hangs on no backend."""
    copy = tmp_path / "training.db"
    copy.write_bytes(migrated_file.read_bytes())
    with TrainingDB(copy) as database:
        yield database


def fails(db: TrainingDB, timeout: float = 5, **options: Any) -> tuple[str, float]:
    """Import from a server that fails; return what was said, and after how long."""
    began = time.monotonic()
    with pytest.raises(SourceUnavailable) as caught:
        import_wandb_project(db, "team/qed", timeout=timeout, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value), time.monotonic() - began


@pytest.mark.parametrize("operation", [None, "Run", SCAN])
def test_a_server_that_answers_500_for_ever_ends_in_an_error(
    db: TrainingDB, wandb_server: WandBServer, operation: str | None
) -> None:
    wandb_server.projects["team/qed"] = [whole_run()]
    wandb_server.fail(500, operation=operation)
    if operation in ("Run", SCAN):
        wandb_server.fail(500, operation="RunHistoryKeys", after=int(operation == SCAN))
    said, seconds = fails(db)
    assert wandb_server.url in said
    assert "HTTP 500" in said
    assert seconds < 7


def test_a_server_that_fails_for_many_runs_does_not_cost_its_time_for_each(
    db: TrainingDB, wandb_server: WandBServer
) -> None:
    wandb_server.projects["team/qed"] = [StoredRun(f"r{n}", rows(3)) for n in range(20)]
    wandb_server.fail(500, operation="Run")
    wandb_server.fail(500, operation="RunHistoryKeys")
    _said, seconds = fails(db, jobs=2)
    assert seconds < 7


def test_a_server_that_hangs_in_every_history_does_not_cost_its_time_for_each(
    db: TrainingDB, wandb_server: WandBServer
) -> None:
    wandb_server.projects["team/qed"] = [StoredRun(f"r{n}", rows(3)) for n in range(20)]
    wandb_server.fail(200, operation=SCAN, seconds=60)
    _said, seconds = fails(db, timeout=2, jobs=2)
    assert seconds < 6


NONE: dict[str, dict[str, Any]] = {
    "cut": {"status": 200, "body": b'{"data": {', "is_cut": True},
    "page": {"status": 200, "body": b"<html>log in</html>"},
    "empty": {"status": 200, "body": b""},
    "elsewhere": {"status": 302, "headers": {"Location": "/login"}},
    "round": {"status": 308, "headers": {"Location": "/graphql"}},
}


@pytest.mark.parametrize("operation", ["Runs", SCAN])
@pytest.mark.parametrize("answer", NONE)
def test_an_answer_that_is_none_ends_in_an_error(
    db: TrainingDB, wandb_server: WandBServer, answer: str, operation: str
) -> None:
    wandb_server.projects["team/qed"] = [StoredRun(f"r{n}", rows(3)) for n in range(3)]
    wandb_server.fail(operation=operation, **NONE[answer])
    if operation == "Runs":
        said, _seconds = fails(db, timeout=4)
        assert f"{wandb_server.url} failed (" in said
        assert "no message" not in said
    else:
        outcomes = import_wandb_project(db, "team/qed", timeout=4)
        assert [f"{wandb_server.url} failed (" in str(one.error) for one in outcomes] == [True] * 3


@pytest.mark.parametrize("operation", ["Viewer", "Runs", SCAN])
def test_a_server_that_never_answers_is_given_up(
    db: TrainingDB, wandb_server: WandBServer, operation: str
) -> None:
    wandb_server.projects["team/qed"] = [whole_run()]
    wandb_server.fail(200, seconds=60, operation=operation)
    if operation == SCAN:
        wandb_server.fail(200, seconds=60, operation="RunHistoryKeys", after=1)
    said, seconds = fails(db, timeout=2)
    assert "gave no answer for 0.75 s" in said
    assert seconds < 4


def test_a_server_that_hangs_up_ends_in_an_error(db: TrainingDB, wandb_server: WandBServer) -> None:
    wandb_server.projects["team/qed"] = [whole_run()]
    wandb_server.fail(0)
    said, seconds = fails(db)
    assert "EOF" in said or "reset" in said
    assert seconds < 7


def test_a_host_without_a_server_ends_in_an_error(
    db: TrainingDB, wandb_server: WandBServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wandb

    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(wandb.setup().settings, "base_url", "http://127.0.0.1:9")
    said, seconds = fails(db)
    assert "W&B at http://127.0.0.1:9 failed" in said
    assert "connection refused" in said
    assert seconds < 7
    assert wandb_server.asked == {}


@pytest.mark.parametrize(
    ("name", "value", "error", "said"),
    [
        ("BASE_URL", "nonsense", ConfigurationError, "settings of W&B .* WANDB_BASE_URL"),
        ("API_KEY", "", SourceUnavailable, "there is no API key for .*; run `wandb login`"),
        ("API_KEY", "too short", SourceUnavailable, "the API key for .* cannot be used"),
    ],
)
def test_settings_that_lead_nowhere_are_said(
    db: TrainingDB,
    wandb_server: WandBServer,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    error: type[Exception],
    said: str,
) -> None:
    import wandb

    monkeypatch.setenv(f"WANDB_{name}", value)
    if not value:
        monkeypatch.delenv(f"WANDB_{name}")
    monkeypatch.setattr(wandb.sdk.wandb_setup, "_singleton", None)  # it read the environment before
    with pytest.raises(error, match=said) as caught:
        import_wandb_project(db, "team/qed", timeout=5)
    wandb.teardown()  # of what was set up in the place of the other
    assert "too short" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert wandb_server.asked == {}


def test_a_wrong_key_is_said(db: TrainingDB, wandb_server: WandBServer) -> None:
    wandb_server.key = "another" * 6
    said, _ = fails(db)
    assert "refuses the API key (HTTP 401: user is not logged in)" in said
    assert "wandb login" in said


def test_a_database_that_is_not_there_is_said_first(
    wandb_server: WandBServer, tmp_path: Path
) -> None:
    with TrainingDB(tmp_path / "none.db") as none, pytest.raises(SchemaMissing):
        import_wandb_project(none, "team/qed")
    assert wandb_server.asked == {}


@pytest.mark.usefixtures("wandb_server")
def test_a_missing_project_is_said(db: TrainingDB) -> None:
    with pytest.raises(NotFound, match="has no project 'team/none', or this key may not see it"):
        import_wandb_project(db, "team/none")


def test_limits_of_the_rate_are_waited_for_and_errors_that_pass_cost_nothing(
    db: TrainingDB, wandb_server: WandBServer
) -> None:
    wandb_server.projects["team/qed"] = [whole_run()]
    wandb_server.fail(429, times=1, headers={"Retry-After": "1"}, operation="Runs")
    wandb_server.fail(429, times=1, headers={"Retry-After": "1"}, operation=SCAN)
    wandb_server.fail(502, times=1, operation="RunFiles")
    (outcome,) = import_wandb_project(db, "team/qed", timeout=20)
    assert (outcome.is_good, outcome.rows, outcome.damage) == (True, 2_500, [])
    assert (wandb_server.asked["Runs"], wandb_server.asked[SCAN]) == (2, 4)


def test_a_server_that_asks_to_come_later_for_ever_is_given_up(
    db: TrainingDB, wandb_server: WandBServer
) -> None:
    wandb_server.projects["team/qed"] = [whole_run()]
    wandb_server.fail(429, headers={"Retry-After": "1"})
    said, seconds = fails(db)
    assert "429" in said
    assert seconds < 7


def test_a_run_that_the_server_cannot_give_does_not_stop_the_others(
    db: TrainingDB, wandb_server: WandBServer
) -> None:
    wandb_server.projects["team/qed"] = [StoredRun(f"r{n}", rows(30)) for n in range(4)]
    wandb_server.fail(500, operation=SCAN, run_id="r1")
    outcomes = import_wandb_project(db, "team/qed", timeout=5, jobs=2)
    assert [one.error is None for one in outcomes] == [True, False, True, True]
    assert "HTTP 500" in str(outcomes[1].error)


def test_a_run_that_is_deleted_meanwhile_does_not_stop_the_others(
    db: TrainingDB, wandb_server: WandBServer
) -> None:
    runs = [StoredRun(f"r{n}", rows(30)) for n in range(3)]
    wandb_server.projects["team/qed"] = runs
    found = import_wandb_project(
        db, "team/qed", jobs=1, progress=lambda done, *_: runs.pop(1) if not done else None
    )
    assert [one.error is None for one in found] == [True, False, True]
    assert "has no run 'team/qed/r1' any more" in str(found[1].error)


def test_a_run_that_is_too_much_for_the_server_is_asked_for_in_smaller_pages(
    db: TrainingDB, wandb_server: WandBServer
) -> None:
    wandb_server.projects["team/qed"] = [whole_run(300)]
    wandb_server.fail(504, operation=SCAN, larger_than=100)
    (outcome,) = import_wandb_project(db, "team/qed", timeout=4)
    assert (outcome.is_good, outcome.rows) == (True, 300)


def test_what_cannot_be_listed_does_not_cost_the_run(
    db: TrainingDB, wandb_server: WandBServer
) -> None:
    wandb_server.projects["team/qed"] = [whole_run()]
    wandb_server.fail(200, operation="RunOutputArtifacts", errors=["artifacts are off"])
    (outcome,) = import_wandb_project(db, "team/qed", timeout=8)
    assert (outcome.is_good, outcome.rows) == (True, 2_500)
    (damage,) = outcome.damage
    assert damage.startswith("its artifacts could not be had: ")
    assert "artifacts are off" in damage


def test_an_import_goes_on_where_the_server_failed(
    db: TrainingDB, wandb_server: WandBServer
) -> None:
    wandb_server.projects["team/qed"] = [whole_run(5_000)]
    wandb_server.fail(500, operation=SCAN, after=3)
    (outcome,) = import_wandb_project(db, "team/qed", timeout=5)
    assert "HTTP 500" in str(outcome.error)
    assert db.history.counts("whole")["loss"] == 3_000
    wandb_server.faults.clear()
    wandb_server.pages.clear()
    (outcome,) = import_wandb_project(db, "team/qed")
    assert (outcome.is_good, outcome.rows, outcome.new_rows) == (True, 5_000, 2_000)
    assert min(low for _, low, _ in wandb_server.pages) == 2_999


def processes_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def test_a_killed_import_goes_on_where_it_was(db: TrainingDB, wandb_server: WandBServer) -> None:
    more = {f"k{number}": number for number in range(46)}  # a batch is 2,000 rows
    wandb_server.projects["team/qed"] = [StoredRun("whole", [row | more for row in rows(4_000)])]
    wandb_server.fail(200, operation=SCAN, after=3, seconds=30)
    place = db.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [*COMMAND, "import", "wandb", "team/qed", "--url", place], env=environment()
    )
    pause = threading.Event()
    try:
        deadline = time.monotonic() + 60
        while not stored(db) and time.monotonic() < deadline:
            pause.wait(0.1)
        others = processes_of(process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    psutil.wait_procs(others, timeout=20)
    wandb_server.faults.clear()
    wandb_server.pages.clear()
    left = stored(db)
    assert 0 < left < 4_000
    (outcome,) = import_wandb_project(db, "team/qed")
    assert (outcome.is_good, outcome.rows, outcome.new_rows) == (True, 4_000, 4_000 - left)
    assert min(low for _, low, _ in wandb_server.pages) == left - 1
    found = db.history.arrays("whole", "n.d")["whole"]["n.d"]
    assert found.values.tolist() == list(range(4_000))


def stored(db: TrainingDB) -> int:
    if db.runs.find("whole") is None:
        return 0
    return db.history.counts("whole").get("_step", 0)


def test_the_command_ends_though_the_server_hangs(
    db: TrainingDB, wandb_server: WandBServer, tmp_path: Path
) -> None:
    wandb_server.projects["team/qed"] = [whole_run(), StoredRun("r2", rows(2_000))]
    wandb_server.fail(200, seconds=120, operation=SCAN, after=1)
    wandb_server.fail(200, seconds=120, operation="RunHistoryKeys", after=2)
    began = time.monotonic()
    place = db.url.render_as_string(hide_password=False)
    others: list[psutil.Process] = []
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            [*COMMAND, "import", "wandb", "team/qed", "--timeout", "3", "--url", place],
            env=environment(), stdout=said, stderr=said,
        )  # fmt: skip
        while process.poll() is None and time.monotonic() < began + 60:
            others = processes_of(process) or others
            threading.Event().wait(0.1)
    printed = (tmp_path / "said").read_text()
    assert (process.wait(), printed.count("\n")) == (1, 1)
    assert "gave no answer for" in printed
    assert time.monotonic() - began < 15
    assert others  # wandb-core was one of them
    assert psutil.wait_procs(others, timeout=10)[1] == []


def test_ctrl_c_ends_the_command(db: TrainingDB, wandb_server: WandBServer) -> None:
    wandb_server.projects["team/qed"] = [whole_run()]
    wandb_server.fail(200, seconds=120, operation=SCAN)
    place = db.url.render_as_string(hide_password=False)
    process = subprocess.Popen(
        [*COMMAND, "import", "wandb", "team/qed", "--url", place],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not wandb_server.asked[SCAN] and time.monotonic() < deadline:
        threading.Event().wait(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    # A shell calls both 130: exiting with it, and dying of the signal on the way out.
    assert process.returncode in (130, -signal.SIGINT)
    assert out == b""
    assert b"Traceback" not in err


def test_a_database_that_fails_ends_the_import(db: TrainingDB, wandb_server: WandBServer) -> None:
    wandb_server.projects["team/qed"] = [StoredRun(f"r{n}", rows(30)) for n in range(4)]
    with db.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE run_history_tails")
    with pytest.raises(DatabaseError):
        import_wandb_project(db, "team/qed")


@pytest.mark.parametrize(
    "fault", [DatabaseUnavailable("it is gone"), ValueError("a fault of ours")]
)
@pytest.mark.parametrize("method", ["write", "finish"])
def test_faults_on_our_side_are_not_put_down_to_the_server(
    db: TrainingDB,
    wandb_server: WandBServer,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    fault: Exception,
) -> None:
    def failing(*_arguments: object, **_options: object) -> None:
        raise fault

    wandb_server.projects["team/qed"] = [StoredRun(f"r{n}", rows(30)) for n in range(4)]
    monkeypatch.setattr(RunStore, method, failing)
    with pytest.raises(type(fault), match=str(fault)):
        import_wandb_project(db, "team/qed")


def test_the_settings_of_a_training_in_this_process_stay(
    db: TrainingDB, wandb_server: WandBServer
) -> None:
    import wandb

    wandb_server.projects["team/qed"] = [whole_run(3)]
    settings = wandb.setup().settings
    before = settings.model_dump()
    import_wandb_project(db, "team/qed")
    assert wandb.setup().settings.model_dump() == before
    assert before["x_graphql_retry_max"] is None
    assert "WANDB_X_GRAPHQL_RETRY_MAX" not in os.environ
