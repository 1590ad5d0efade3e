"""`training-db check` and what every call to an unfit schema says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from training_db.db.engine import open_engine
from training_db.db.migrations import check, current, upgrade
from training_db.db.version import check_schema
from training_db.errors import SchemaMissing, SchemaNewer, SchemaOutdated
from training_db.settings import resolve_url

if TYPE_CHECKING:
    from tests.migrations.conftest import Database


def checked(database: Database) -> None:
    engine = open_engine(resolve_url(database.url))
    try:
        with engine.connect() as connection:
            check_schema(connection)
    finally:
        engine.dispose()


def test_a_database_without_a_schema_names_the_command_to_run(database: Database) -> None:
    with pytest.raises(
        SchemaMissing, match=r"no training-db schema yet; run: training-db upgrade$"
    ):
        checked(database)


def test_an_old_schema_names_the_command_to_run(v1: Database) -> None:
    with pytest.raises(
        SchemaOutdated, match=r"has schema v1, and .* needs v3; run: training-db upgrade$"
    ):
        checked(v1)


def test_a_newer_schema_names_the_command_to_run(v1: Database) -> None:
    v1.run("UPDATE training_db_version SET version_num = 'v99'")
    with pytest.raises(SchemaNewer, match="run: pip install --upgrade training-db"):
        checked(v1)


def test_a_version_table_with_several_rows_is_refused(v1: Database) -> None:
    v1.insert("training_db_version", version_num="v2")
    with pytest.raises(SchemaNewer, match="names several versions"):
        checked(v1)


def test_the_newest_schema_is_accepted(v1: Database) -> None:
    upgrade(v1.url)
    checked(v1)


def test_a_missing_index_is_named_with_the_statement_that_mends_it(v1: Database) -> None:
    upgrade(v1.url)
    v1.run("DROP INDEX ix_training_runs_host")

    [fault] = check(v1.url).faults
    assert fault.startswith("the index 'ix_training_runs_host' of training_runs is missing; run: ")
    v1.run(fault.partition("; run: ")[2])

    assert check(v1.url).faults == []


def test_a_missing_column_and_table_are_faults(v1: Database) -> None:
    upgrade(v1.url)
    v1.run("ALTER TABLE training_runs DROP COLUMN history_layout")
    v1.run("DROP TABLE run_scaffolds")

    faults = " ".join(check(v1.url).faults)

    assert "the column training_runs.history_layout is missing" in faults
    assert "the table 'run_scaffolds' is missing" in faults


def test_runs_that_would_get_no_number_are_a_fault_that_the_statement_mends(v1: Database) -> None:
    upgrade(v1.url)
    v1.run(
        "DROP TRIGGER training_runs_number"
        if v1.backend == "sqlite"
        else "ALTER TABLE training_runs ALTER COLUMN number DROP DEFAULT"
    )

    [fault] = check(v1.url).faults
    assert fault.startswith("nothing gives a new run its number; run: ")
    v1.run(fault.partition("; run: ")[2])
    v1.insert("training_runs", run_id="a")

    assert check(v1.url).faults == []
    assert v1.value("SELECT number FROM training_runs") == 1


def test_what_somebody_added_is_a_note_and_no_fault(v1: Database) -> None:
    upgrade(v1.url)
    v1.run("ALTER TABLE training_runs ADD COLUMN remark TEXT")
    v1.run("CREATE INDEX by_remark ON training_runs (remark)")
    v1.run("CREATE TABLE somebody_elses (x INTEGER)")

    findings = check(v1.url)

    assert findings.faults == []
    assert sorted(findings.notes) == [
        "training_runs has a column 'remark' that the schema does not",
        "training_runs has an index 'by_remark' that the schema does not",
    ]


def test_a_type_that_somebody_changed_is_a_fault(postgres) -> None:  # type: ignore[no-untyped-def]
    from tests.migrations.conftest import Database

    with postgres.database() as url:
        upgrade(url)
        database = Database(url)
        database.run("ALTER TABLE training_runs ALTER COLUMN batch_size TYPE TEXT")
        database.run("ALTER TABLE training_runs ALTER COLUMN status DROP NOT NULL")
        faults = " ".join(check(url).faults)
        database.close()

    assert "training_runs.batch_size has the type TEXT, not BIGINT" in faults
    assert "training_runs.status has the nullable True, not False" in faults


def test_a_missing_gin_index_is_made_anew_by_the_command_that_is_named(postgres) -> None:  # type: ignore[no-untyped-def]
    from tests.migrations.conftest import Database

    with postgres.database() as url:
        upgrade(url)
        database = Database(url)
        indexes = "SELECT indexdef FROM pg_indexes ORDER BY indexname"
        before = database.rows(indexes)
        database.run("DROP INDEX ix_training_runs_config_document")
        [fault] = check(url).faults
        database.run(fault.partition("; run: ")[2])
        after, faults = database.rows(indexes), check(url).faults
        database.close()

    assert before == after
    assert faults == []


def test_documents_that_are_no_longer_generated_are_faults(postgres) -> None:  # type: ignore[no-untyped-def]
    from tests.migrations.conftest import Database

    with postgres.database() as url:
        upgrade(url)
        database = Database(url)
        database.run("ALTER TABLE training_runs ALTER COLUMN config_document DROP EXPRESSION")
        [plain] = check(url).faults
        database.run("DROP FUNCTION training_db_document(text) CASCADE")
        faults = " ".join(check(url).faults)
        database.close()

    assert plain.startswith("training_runs.config_document is not generated from its text")
    assert "the function training_db_document(text) is missing" in faults
    assert "the column training_runs.summary_document is missing" in faults


@pytest.mark.parametrize("version", [None, "v1"])
def test_an_unfit_version_is_a_fault(database: Database, version: str | None) -> None:
    if version:
        upgrade(database.url, version)

    findings = check(database.url)

    assert findings.version == version
    assert not findings.sound
    assert findings.faults[0].endswith("run: training-db upgrade")


def test_a_foreign_table_is_a_fault(database: Database) -> None:
    database.run("CREATE TABLE run_scaffolds (x INTEGER)")
    assert "'run_scaffolds' is not one of training-db" in check(database.url).faults[0]


def test_to_look_at_a_file_that_is_not_there_does_not_make_it(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "none.db"

    assert current(path) is None
    assert check(path).version is None
    assert not path.exists()
