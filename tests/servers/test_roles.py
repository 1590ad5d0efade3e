"""The roles of docs/postgresql.md: each can do its work, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import pytest

from training_db import TrainingDB
from training_db.db.migrations import check, downgrade, upgrade
from training_db.errors import DatabaseError, TrainingDBError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.terminal import Answer
    from tests.servers.servers import PostgreSQL

PAGE = Path(__file__).resolve().parents[2] / "docs" / "postgresql.md"


def _insert_in_transaction(db: TrainingDB) -> None:
    with db.transaction():
        assert db.runs.count() >= 1
        db.runs.insert("r2")


WRITES: dict[str, Callable[[TrainingDB], object]] = {
    "insert": lambda db: db.runs.insert("r2"),
    "insert_many": lambda db: db.runs.insert_many([{"run_id": "r2"}]),
    "update": lambda db: db.runs.update("r1", notes="x"),
    "update_status": lambda db: db.runs.update_status("r1", "failed"),
    "beat": lambda db: db.runs.beat("r1"),
    "delete": lambda db: db.runs.delete("r1"),
    "tag": lambda db: db.tags.add("r1", "keep"),
    "untag": lambda db: db.tags.remove("r1", "best"),
    "event": lambda db: db.events.add("r1", "note", "it began"),
    "artifact": lambda db: db.artifacts.add("r1", "plot", "loss.png"),
    "objective": lambda db: db.objectives.insert("r1", "SA"),
    "score": lambda db: db.objectives.update_metric("r1", "QED", "raw_mean", 1),
    "scaffold": lambda db: db.scaffolds.insert("r1", [{"scaffold_id": "c1ccccc1"}]),
    "history": lambda db: db.history.append("r1", {"loss": [1.0]}),
    "transaction": _insert_in_transaction,
}
REFUSED_TO_TRAINERS = (
    "DROP TABLE run_tags",
    "ALTER TABLE training_runs ADD COLUMN mine INTEGER",
    "CREATE TABLE mine (id INTEGER)",
    "CREATE INDEX mine ON training_runs (notes)",
    "TRUNCATE run_history_segments",
    "DELETE FROM training_runs",
    "DELETE FROM training_db_version",
)


class Roles:
    """A database with the roles of the page."""

    def __init__(self, server: PostgreSQL) -> None:
        self._server = server
        self.passwords = dict(
            re.findall(r"CREATE ROLE (\w+) LOGIN PASSWORD '(.*?)'", PAGE.read_text())
        )
        first, second, third = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
        self._run(server.by_socket("postgres"), first)
        self._run(server.by_socket("runs"), second)
        upgrade(self.url("owner"))
        self._run(self.url("owner"), third)

    def url(self, kind: str) -> str:
        role = f"runs_{kind}"
        return self._server.by_tcp("runs", role, self.passwords[role])

    def _run(self, url: str, script: str) -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in script.split(";\n"):
                if statement.strip():
                    connection.execute(statement)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def roles(primary: PostgreSQL) -> Roles:
    made = Roles(primary)
    with TrainingDB(made.url("trainer")) as db:
        db.runs.insert("r1", config={"lr": 0.1, "objectives": ["QED"]}, gradient_method="mgda")
        db.objectives.update_metric("r1", "QED", "raw_mean", 0.7)
        db.tags.add("r1", "best")
        db.history.append("r1", {"loss": np.linspace(2, 1, 300)})
        db.runs.update_status("r1", "completed", summary={"loss": 1.0})
    return made


@pytest.mark.usefixtures("spool_dir")
def test_a_trainer_records(roles: Roles) -> None:
    with TrainingDB(roles.url("trainer")) as db:
        with db.recorder("live", flush_seconds=0.05) as recorder:
            for step in range(5_000):  # more than become segments
                recorder.log({"loss": 1 / (step + 1), "reward": step}, step=step)
            recorder.flush()
        assert [one["count"] for one in db.metrics.of("live")] == [5_000] * 4
        db.runs.delete("live")
        db.runs.restore("live")
        db.tags.add("live", "keep")
        assert db.tags.remove("live", "keep")


@pytest.mark.parametrize("statement", REFUSED_TO_TRAINERS)
@pytest.mark.parametrize("role", ["trainer", "reader"])
def test_trainers_and_readers_change_no_table_and_delete_no_run(
    roles: Roles, role: str, statement: str
) -> None:
    with (
        TrainingDB(roles.url(role)) as db,
        db.engine.connect() as connection,
        pytest.raises(DatabaseError, match=r"may not do that: .*docs/postgresql\.md"),
    ):
        connection.exec_driver_sql(statement)


@pytest.mark.parametrize("role", ["trainer", "reader"])
def test_trainers_and_readers_migrate_nothing(roles: Roles, role: str) -> None:
    with pytest.raises(TrainingDBError, match="nothing was changed"):
        downgrade(roles.url(role), "v1")
    assert check(roles.url("owner")).faults == []


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_reader_changes_nothing(roles: Roles, write: Callable[[TrainingDB], object]) -> None:
    with TrainingDB(roles.url("owner")) as owner, TrainingDB(roles.url("reader")) as db:
        before = _all_of(owner)
        with pytest.raises(DatabaseError, match="may not do that: permission denied"):
            write(db)
        assert _all_of(owner) == before
        assert db.runs.get("r1")["status"] == "completed"  # the next question is answered


def test_a_reader_lists_plots_analyses_and_reports(
    roles: Roles,
    cli: Callable[..., Answer],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TRAINING_DB_URL", roles.url("reader"))
    page = tmp_path / "report.html"
    for command in (
        ["runs", "list", "--json"],
        ["runs", "list", "objective.QED > 0.5 and metric.loss.last < 2"],
        ["runs", "show", "r1"],
        ["history", "show", "r1"],
        ["history", "plot", "r1", "loss"],
        ["objectives"],
        ["stats"],
        ["current"],
        ["check"],
        ["report", "-o", str(page)],
    ):
        answer = cli(*command)
        assert (answer.code, command) == (0, command), answer.err
    assert page.stat().st_size > 1000
    answer = cli("doctor")
    assert answer.code in (0, 1), answer.err
    assert "fault" not in answer.out.lower(), answer.out
    with TrainingDB() as db:
        assert db.history.arrays("r1", "loss")["r1"]["loss"].values[-1] == 1
        assert db.analysis.findings("r1") is not None
        with db.snapshot():
            assert db.runs.count() >= 1


def test_a_reader_that_tries_by_the_command_line_is_refused_in_one_line(
    roles: Roles, cli: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DB_URL", roles.url("reader"))
    for command in (["runs", "delete", "r1"], ["runs", "tag", "r1", "keep"]):
        answer = cli(*command)
        assert answer.code == 1
        assert "may not do that" in answer.err
        assert "Traceback" not in answer.err


def _all_of(db: TrainingDB) -> list[Any]:
    run = dict(db.runs.get("r1"))
    return [run, db.runs.count(), db.tags.of("r1"), db.events.list("r1"), db.metrics.of("r1"),
            db.objectives.of_run("r1"), db.artifacts.list("r1")]  # fmt: skip
