"""Real databases of each past version, and hand-made ones, upgraded and read back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from training_db.db.migrations import check, current, downgrade, upgrade
from training_db.db.shapes import SHAPES
from training_db.db.version import VERSIONS

if TYPE_CHECKING:
    from tests.migrations.conftest import Database

FILES = Path(__file__).parent / "files"


def bring_back(database: Database, name: str) -> None:
    if database.backend == "sqlite":
        shutil.copy(FILES / f"{name}.db", database.url.removeprefix("sqlite:///"))
        return
    lines = (FILES / f"{name}.sql").read_text().splitlines()
    # What a dump says to psql and sets for the session depends on the server's version.
    kept = [
        line
        for line in lines
        if not line.startswith(("\\", "SET ", "SELECT pg_catalog.set_config"))
    ]
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("\n".join(kept))


@pytest.mark.parametrize("name", ["handmade", *VERSIONS])
def test_an_old_database_is_upgraded_and_read_back(database: Database, name: str) -> None:
    bring_back(database, name)
    assert current(database.url) == (None if name == "handmade" else name)
    documents = "SELECT run_id, config_json, final_metrics_json FROM training_runs ORDER BY run_id"
    before = database.rows(documents)

    upgrade(database.url)

    assert check(database.url).faults == []
    assert len(before) == 5
    assert database.rows(documents) == before
    [plain] = database.rows("SELECT * FROM training_runs WHERE run_id = 'plain'")
    assert (plain["wandb_run_id"], plain["status"], plain["host"]) == ("w0", "completed", "node-1")
    assert plain["max_steps"] == 100
    if name in ("handmade", "v1"):  # filled on the way from v1, and only then
        assert plain["learning_rate"] == 1e-4
        assert plain["final_loss"] == 0.5
        assert plain["total_training_steps"] == 99
    [qed] = database.rows(
        "SELECT raw_mean, weight FROM run_objectives WHERE objective_name = 'QED'"
    )
    assert qed == {"raw_mean": 0.7, "weight": 2.0 if name in ("v2", "v2.1", "v3") else None}
    if name == "v2.1":
        assert database.value("SELECT last FROM run_metrics LIMIT 1") == 1.0
        # What stood there for a run stays as it was; other runs get theirs.
        losses = database.rows("SELECT run_id, loss FROM run_history_key_metrics ORDER BY loss")
        assert [row["loss"] for row in losses] == [1.0, 1.0, 1.0, 1.0, 2.0]
        assert losses[-1]["run_id"] == "plain"
    if name == "v3":
        assert database.value("SELECT last FROM run_metrics") == 0.25
    if name == "handmade":
        assert "reviewer" in plain


@pytest.mark.parametrize(
    ("name", "history"),
    [("v2.1", [{"loss": 1}]), ("v3", {"loss": [0.5, 0.25]})],
)
def test_the_history_of_an_old_database_goes_up_and_down(
    database: Database, name: str, history: object
) -> None:
    bring_back(database, name)
    upgrade(database.url)

    downgrade(database.url, "v2.1", backup=False)

    rows = database.rows("SELECT run_id, history_json FROM training_runs")
    texts = {row["run_id"]: row["history_json"] for row in rows}
    assert json.loads(texts["plain"]) == history
    assert texts["broken"] == ("{broken" if name == "v3" else texts["plain"])


def test_an_old_database_without_its_version_is_adopted_with_all_its_history(
    database: Database,
) -> None:
    bring_back(database, "v3")
    queries = [f"SELECT * FROM {table}" for table, added in SHAPES.items() if [*added] == ["v3"]]
    queries.append("SELECT run_id, number, history_layout FROM training_runs ORDER BY run_id")
    before = [database.rows(query) for query in queries]
    database.run("DROP TABLE training_db_version")

    notes = upgrade(database.url).notes

    assert notes[0].startswith("adopted as schema v3, made by hand: training_runs, ")
    assert [note for note in notes if "went" in note or "kept" in note] == []
    assert [database.rows(query) for query in queries] == before
    assert all(before)
    assert check(database.url).faults == []
    database.insert("training_runs", run_id="next")
    assert database.value("SELECT number FROM training_runs WHERE run_id = 'next'") == 6


@pytest.mark.parametrize("name", ["handmade", "v1"])
def test_times_of_old_rows_sort_as_times(database: Database, name: str) -> None:
    bring_back(database, name)
    upgrade(database.url)

    found = database.rows("SELECT CAST(created_at AS text) AS created FROM training_runs")

    if database.backend == "sqlite":
        assert {row["created"] for row in found} == {"2024-05-06T05:08:09.123456Z"}
    else:
        assert len({row["created"][:10] for row in found}) == 1
