"""Up, down and up each step again, and no drift from the models at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pytest_alembic import Config, tests
from sqlalchemy import MetaData, create_engine

from training_db.db.drift import compare
from training_db.db.engine import open_engine
from training_db.db.migrations import check, current, downgrade, upgrade
from training_db.db.report import Findings
from training_db.db.scripts import alembic_config
from training_db.db.version import HEAD, VERSIONS
from training_db.settings import resolve_url

if TYPE_CHECKING:
    from tests.migrations.conftest import Database


@pytest.mark.parametrize("version", VERSIONS)
def test_each_step_up_can_be_taken_back_and_taken_again(database: Database, version: str) -> None:
    position = VERSIONS.index(version)
    below = VERSIONS[position - 1] if position else "base"
    if position:
        upgrade(database.url, below)
    before = database.schema()

    upgrade(database.url, version)
    above = database.schema()
    downgrade(database.url, below, backup=False)

    if position:
        assert database.schema() == before
    upgrade(database.url, version)
    assert database.schema() == above
    assert current(database.url) == version


def test_the_newest_schema_is_the_one_of_the_models(migrated_url: str) -> None:
    findings = check(migrated_url)

    assert findings.faults == []
    assert findings.notes == []


def test_head_is_the_newest_revision_of_alembic() -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(alembic_config())

    assert script.get_heads() == [HEAD]
    assert [revision.revision for revision in script.walk_revisions()] == [*reversed(VERSIONS)]


def test_a_database_that_lacks_everything_is_said_to_lack_everything(database: Database) -> None:
    engine = open_engine(resolve_url(database.url))
    findings = Findings(None)
    with engine.connect() as connection:
        compare(connection, findings)
    engine.dispose()

    for table in ("training_runs", "run_objectives", "run_scaffolds", "run_history_key_metrics"):
        assert any(f"the table {table!r} is missing" in fault for fault in findings.faults)


@pytest.fixture
def alembic_engine(database_url: str):  # type: ignore[no-untyped-def]
    engine = open_engine(resolve_url(database_url))
    yield engine
    engine.dispose()


@pytest.fixture
def alembic_config_of_the_project() -> Config:
    return Config.from_raw_config(alembic_config())


@pytest.mark.parametrize(
    "built_in",
    [
        tests.test_single_head_revision,
        tests.test_upgrade,
        tests.test_up_down_consistency,
        tests.test_model_definitions_match_ddl,
    ],
    ids=lambda built_in: built_in.__name__,
)
def test_pytest_alembic_agrees(built_in, alembic_engine, alembic_config_of_the_project) -> None:  # type: ignore[no-untyped-def]
    import pytest_alembic

    with pytest_alembic.runner(alembic_config_of_the_project, alembic_engine) as runner:
        built_in(runner)


def test_text_is_compared_by_code_points_on_postgresql(postgres) -> None:  # type: ignore[no-untyped-def]
    with postgres.database() as url:
        upgrade(url)
        engine = create_engine(resolve_url(url))
        found = MetaData()
        found.reflect(engine)
        engine.dispose()
    plain = [
        (table.name, column.name)
        for table in found.tables.values()
        for column in table.columns
        if str(column.type).startswith("TEXT") and "COLLATE" not in str(column.type).upper()
    ]
    assert {name for _, name in plain} == {
        "config_json",
        "final_metrics_json",
        "scores_json",
        "objective_scores_json",
        "history_layout",
        "notes",
        "filepath",
        "metadata_json",
        "message",
        "data_json",
    }
