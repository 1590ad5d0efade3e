"""PostgreSQL 13, 15 and 16: what works on the one that other tests run on works there too."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import event

from training_db import TrainingDB
from training_db.db.migrations import check, current, downgrade, upgrade, upgrade_sql

if TYPE_CHECKING:
    from tests.servers.servers import PostgreSQL

ROOT = Path(__file__).resolve().parents[2]
# What PostgreSQL has learned since 13, by the version that brought it.
NEWER = {
    14: (
        r"\bdate_bin\b", r"\bstring_to_table\b", r"\btrim_array\b", r"\bbit_count\b",
        r"\bBEGIN ATOMIC\b", r"\bpg_read_all_data\b", r"\bpg_write_all_data\b", r"multirange\b",
        r"\bidle_session_timeout\b", r"\bSEARCH (?:DEPTH|BREADTH) FIRST\b", r"\bPROCESS_TOAST\b",
        r"\bCOMPRESSION (?:lz4|pglz)\b", r"\bpg_stat_wal\b", r"\bpg_stat_progress_copy\b",
        r"\bDETACH PARTITION \w+ CONCURRENTLY\b", r"\bunistr\(", r"GROUP BY DISTINCT\b",
        r"\bcompute_query_id\b", r"\bpg_get_wal_replay_pause_state\b",
    ),
    15: (
        r"\bMERGE INTO\b", r"NULLS NOT DISTINCT", r"\bregexp_(?:like|count|substr|instr)\b",
        r"\bsecurity_invoker\b", r"SET NULL \(", r"\bpg_ident_file_mappings\b",
    ),
    16: (
        r"\bANY_VALUE\b", r"\bIS JSON\b", r"\bJSON_(?:ARRAY|OBJECT)(?:AGG)?\(", r"\bpg_stat_io\b",
        r"\bpg_input_is_valid\b", r"\brandom_normal\b", r"\barray_(?:shuffle|sample)\b",
        r"\bGENERIC_PLAN\b", r"(?<!SET )\bSTORAGE (?:PLAIN|EXTERNAL|MAIN)\b",
        r"\bSKIP_DATABASE_STATS\b",
    ),
    17: (
        r"\bJSON_(?:TABLE|QUERY|VALUE|EXISTS|SCALAR|SERIALIZE)\b", r"\bON_ERROR\b", r"\bMAINTAIN\b",
        r"\bMERGE_ACTION\b", r"\bto_(?:bin|oct)\(", r"\bpg_stat_checkpointer\b",
        r"\btransaction_timeout\b",
    ),
    18: (
        r"\bRETURNING (?:OLD|NEW)\b", r"\buuidv[47]\b", r"\bWITHOUT OVERLAPS\b", r"\bcasefold\b",
        r"\barray_(?:sort|reverse)\b", r"\bREJECT_LIMIT\b",
    ),
}  # fmt: skip
ANY_NEWER = re.compile("|".join(pattern for patterns in NEWER.values() for pattern in patterns))
SOURCES = [
    *ROOT.glob("src/training_db/**/*.py"),
    *ROOT.glob("alembic/**/*.py"),
    ROOT / "docs" / "postgresql.md",
]


@pytest.fixture(params=[15, pytest.param(16, marks=pytest.mark.torture)])
def server(request: pytest.FixtureRequest) -> PostgreSQL:
    return request.getfixturevalue(f"postgresql_{request.param}")  # type: ignore[no-any-return]


def newer_than_13(statement: str) -> list[str]:
    """Return what a text says that PostgreSQL 13 does not understand."""
    if not ANY_NEWER.search(statement):
        return []
    return [
        f"{found[0]!r} is of PostgreSQL {version}"
        for version, patterns in NEWER.items()
        for pattern in patterns
        if (found := re.search(pattern, statement))
    ]


def test_no_source_speaks_of_what_13_does_not_have() -> None:
    assert len(SOURCES) > 300
    found = {str(path.relative_to(ROOT)): newer_than_13(path.read_text()) for path in SOURCES}
    assert {path: words for path, words in found.items() if words} == {}


def test_the_scripts_of_the_migrations_have_nothing_that_13_does_not_have() -> None:
    assert newer_than_13(upgrade_sql("postgresql://", "base:head")) == []


def test_the_list_finds_what_it_is_for() -> None:
    assert newer_than_13("SELECT ANY_VALUE(x), y IS JSON FROM t") != []
    assert newer_than_13("CREATE UNIQUE INDEX i ON t (a) NULLS NOT DISTINCT") != []
    assert newer_than_13("SELECT x FROM t WHERE j @> '{}' ON CONFLICT DO NOTHING") == []


def test_each_version_of_the_schema_is_made_kept_and_unmade(server: PostgreSQL) -> None:
    url = server.by_socket(server.new_database())
    for version in ("v1", "v2", "v2.1", "v3"):
        upgrade(url, version)
        assert current(url) == version
        if version == "v1":
            server.execute(
                "INSERT INTO training_runs (run_id, status, config_json) VALUES "
                """('old', 'completed', '{"batch_size": 8, "objectives": ["QED"]}')""",
                url_database(url),
            )
        if version == "v2.1":
            server.execute(
                """UPDATE training_runs SET history_json = '{"loss": [2.0, 1.0]}'""",
                url_database(url),
            )
    assert check(url).faults == []
    with TrainingDB(url) as db:
        assert db.runs.get("old")["batch_size"] == 8
        assert db.history.arrays("old", "loss")["old"]["loss"].values.tolist() == [2.0, 1.0]
        assert [one["objective_name"] for one in db.objectives.of_run("old")] == ["QED"]
    for version in ("v2.1", "v2", "v1", "base"):
        downgrade(url, version)
    assert current(url) is None


@pytest.mark.usefixtures("spool_dir")
def test_runs_are_stored_filtered_grouped_and_analysed(server: PostgreSQL) -> None:
    with TrainingDB(server.by_socket(server.migrated())) as db:
        statements = heard(db)
        fill(db)
        assert db.runs.ids("objective.QED.raw_mean > 0.55 and config.seed in (1, 2)") == ["r2"]
        assert db.runs.ids("metric.loss.last <= 1.25 and tag.best is not missing") == ["r0"]
        assert db.runs.count("config.opt.lr = 0.1 and run_name like '%run%'") == 4
        assert db.runs.count("final_loss is missing or summary.nothing = 1") == 0
        assert [run["run_id"] for run in db.runs.query(order_by="final_loss DESC", limit=2)] == [
            "r3",
            "r2",
        ]
        assert db.history.arrays("r1", "loss")["r1"]["loss"].values.size == 600
        assert db.metrics.best("loss")[0]["run_id"] == "r0"
        assert {one["gradient_method"] for one in db.statistics.by_method()} == {"mgda", "pcgrad"}
        assert db.statistics.overview()["total_runs"] == 4
        assert {(one.value, one.runs) for one in db.statistics.counts("gradient_method")} == {
            ("mgda", 2),
            ("pcgrad", 2),
        }
        assert db.analysis.groups("gradient_method", metric="loss")
        with db.recorder("live") as recorder:
            recorder.log({"loss": 1.0, "note": {"a": [1]}}, step=1)
        assert db.runs.get("live")["status"] == "completed"
        db.runs.delete("live")
        assert db.runs.count() == 4
    assert {word for statement in statements for word in newer_than_13(statement)} == set()
    assert len(statements) > 50


def fill(db: TrainingDB) -> None:
    for number in range(4):
        run_id = f"r{number}"
        db.runs.insert(
            run_id,
            config={"seed": number, "opt": {"lr": 0.1}, "objectives": ["QED", "SA"]},
            run_name=f"a run {number}",
            gradient_method="mgda" if number % 2 else "pcgrad",
        )
        db.history.append(run_id, {"loss": np.linspace(2, 1 + number / 4, 600)})
        db.objectives.update_metric(run_id, "QED", "raw_mean", 0.5 + number / 20)
        db.scaffolds.insert(run_id, [{"scaffold_id": "c1ccccc1", "scores": {"QED": 0.4}}])
        db.runs.update_status(run_id, "completed", summary={"loss": 1 + number / 4})
    db.tags.add("r0", "best")


def heard(db: TrainingDB) -> list[str]:
    """Return a list that every statement of the database is added to."""
    statements: list[str] = []

    def hear(*arguments: Any) -> None:
        statements.append(arguments[2])

    event.listen(db.engine, "before_cursor_execute", hear)
    return statements


def url_database(url: str) -> str:
    return url.split("?")[0].rpartition("/")[2]
