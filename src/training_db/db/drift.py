"""How a database differs from the models: by Alembic's comparison, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.schema import CreateIndex

from training_db.db.version import VERSION_TABLE
from training_db.models import Base

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from training_db.db.report import Findings

# By backend: what finds that runs are numbered, also where there are no runs at all; what mends it.
_NUMBERING = {
    "sqlite": (
        (
            "SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE type = 'trigger' "
            "AND name = 'training_runs_number') "
            "OR NOT EXISTS (SELECT 1 FROM pragma_table_info('training_runs') WHERE name = 'number')"
        ),
        (
            "CREATE TRIGGER training_runs_number AFTER INSERT ON training_runs "
            "WHEN NEW.number IS NULL BEGIN UPDATE training_runs "
            "SET number = (SELECT coalesce(max(number), 0) + 1 FROM training_runs) "
            "WHERE run_id = NEW.run_id; END"
        ),
    ),
    "postgresql": (
        (
            "SELECT NOT EXISTS (SELECT 1 FROM pg_attribute LEFT JOIN pg_attrdef "
            "ON adrelid = attrelid AND adnum = attnum "
            "WHERE attrelid = to_regclass('training_runs') AND attname = 'number' "
            "AND coalesce(pg_get_expr(adbin, adrelid), '') NOT LIKE 'nextval%')"
        ),
        (
            "ALTER TABLE training_runs ALTER COLUMN number "
            "SET DEFAULT nextval('training_runs_number_seq')"
        ),
    ),
}
_MENDED_BY = "restore a backup, or make it anew as docs/schema.md says"


def compare(connection: Connection, findings: Findings) -> None:
    """Compare a database at the newest version with the models.

    Args:
        connection: Where to look.
        findings: Takes what is missing as faults, and what is there besides as notes.
    """
    context = MigrationContext.configure(
        connection,
        opts={
            "target_metadata": Base.metadata,
            "version_table": VERSION_TABLE,
            "include_object": include_object(connection.dialect.name),
        },
    )
    for difference in _flat(compare_metadata(context, Base.metadata)):
        kind = difference[0]
        if kind.startswith("remove_"):
            findings.notes.append(_addition(difference))
        else:
            findings.faults.append(_fault(difference, connection))
    findings.faults += _numbering_faults(connection)
    if connection.dialect.name == "postgresql":
        findings.faults += _document_faults(connection)


def missing_parts(connection: Connection) -> list[str]:
    """Return the statements that make what can be made anew: indexes, and the numbering of runs."""
    context = MigrationContext.configure(
        connection, opts={"include_object": include_object(connection.dialect.name)}
    )
    statements = [
        _create_index(difference[1], connection)
        for difference in _flat(compare_metadata(context, Base.metadata))
        if difference[0] == "add_index"
    ]
    query, mend = _NUMBERING[connection.dialect.name]
    return statements if connection.scalar(text(query)) else [*statements, mend]


def include_object(backend: str) -> Callable[..., bool]:
    """Return Alembic's filter: without what another backend has, and tables that are not ours."""

    def included(thing: Any, _name: str, kind: str, reflected: bool, compare_to: Any) -> bool:
        if thing.info.get("backend") not in (None, backend):
            return False
        return not (kind == "table" and reflected and compare_to is None)

    return included


def _flat(differences: list[Any]) -> Iterator[tuple[Any, ...]]:
    for difference in differences:
        if isinstance(difference, list):  # what is modified of one column comes as a list
            yield from difference
        else:
            yield difference


def _addition(difference: tuple[Any, ...]) -> str:
    kind, thing = difference[0].removeprefix("remove_"), difference[-1]
    table = difference[2] if kind == "column" else thing.table.name
    return f"{table} has {_article(kind)} {thing.name!r} that the schema does not"


def _fault(difference: tuple[Any, ...], connection: Connection) -> str:
    match difference:
        case ("add_index", index):
            mend = _create_index(index, connection)
            return f"the index {index.name!r} of {index.table.name} is missing; run: {mend}"
        case ("add_table", table):
            return f"the table {table.name!r} is missing; {_MENDED_BY}"
        case ("add_column", _, table, column):
            return f"the column {table}.{column.name} is missing; {_MENDED_BY}"
        case (str(kind), _, table, column, _, existing, wanted) if kind.startswith("modify_"):
            what = kind.removeprefix("modify_")
            return f"{table}.{column} has the {what} {existing}, not {wanted}; {_MENDED_BY}"
    thing = difference[1]
    kind = difference[0].removeprefix("add_")
    return f"{_article(kind)} {thing.name!r} of {thing.table.name} is missing; {_MENDED_BY}"


def _create_index(index: Any, connection: Connection) -> str:
    # Alembic hands over a copy, which has lost what it does not know of.
    table = Base.metadata.tables[index.table.name]
    info = next((one.info for one in table.indexes if one.name == index.name), {})
    if "using" in info:
        return f"CREATE INDEX {index.name} ON {table.name} USING {info['using']}"
    statement = " ".join(str(CreateIndex(index).compile(connection)).split())
    return f"{statement} WHERE {info['where']}" if "where" in info else statement


def _article(kind: str) -> str:
    words = {"fk": "foreign key", "index": "index", "column": "column"}.get(kind, "constraint")
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _numbering_faults(connection: Connection) -> list[str]:
    """Look for what gives each new run its number."""
    query, mend = _NUMBERING[connection.dialect.name]
    if connection.scalar(text(query)):
        return []
    return [f"nothing gives a new run its number; run: {mend}"]


def _document_faults(connection: Connection) -> list[str]:
    """Look for what only PostgreSQL has, beyond what Alembic compares."""
    function = connection.scalar(text("SELECT to_regprocedure('training_db_document(text)')"))
    if function is None:
        return [f"the function training_db_document(text) is missing; {_MENDED_BY}"]
    plain = connection.scalars(
        text(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass('training_runs') "
            "AND attname IN ('config_document', 'summary_document') AND attgenerated = ''"
        )
    )
    return [f"training_runs.{name} is not generated from its text; {_MENDED_BY}" for name in plain]
