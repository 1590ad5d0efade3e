"""Of any file that hypothesis can think of, PostgreSQL has every value, or an event keeps it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.torture import rounds
from tests.transfer.databases import a_row, owner
from tests.transfer.originals import changed, kept
from tests.transfer.truth import TABLES
from tests.unit.strategies import SLOW
from training_db.models import Base, training_runs
from training_db.transfer.copying import copy_database

if TYPE_CHECKING:
    from tests.transfer.conftest import Places

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
cells = st.one_of(
    st.none(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), texts,
    st.binary(max_size=5), st.sampled_from(["NaN", "2024-05-06", "a\x00", "\\x00", "", "1" * 1251]),
)  # fmt: skip
CHILDREN = ("run_objectives", "run_scaffolds", "run_history_key_metrics", "run_tags", "run_events",
            "run_artifacts")  # fmt: skip
PLACES = [
    (table, column.name)
    for table in ("training_runs", *CHILDREN)
    for column in Base.metadata.tables[table].columns
    if not column.primary_key and column.computed is None and not column.foreign_keys
    and column.name != "number"
]  # fmt: skip
changes = st.lists(st.tuples(st.integers(1, 3), st.sampled_from(PLACES), cells), max_size=8)


def make(path: Path, drawn: list[tuple[int, tuple[str, str], Any]]) -> None:
    """Fill a migrated file with three plain runs, and change values as somebody else would."""
    with closing(sqlite3.connect(path)) as connection:
        for number in (1, 2, 3):
            run_id = f"run {number}"
            fixed = {"run_id": run_id, "number": number, "wandb_run_id": run_id}
            _insert(connection, "training_runs", a_row(training_runs, number) | fixed)
            for name in CHILDREN:
                table = Base.metadata.tables[name]
                _insert(connection, name, a_row(table, number) | owner(table, run_id, number))
        for number, (table, column), value in drawn:
            key = "run_id" if "run_id" in Base.metadata.tables[table].c else "run_number"
            whose = number if key == "run_number" else f"run {number}"
            # What the file itself refuses is not there either.
            connection.execute(
                f"UPDATE OR IGNORE {table} SET {column} = ? WHERE {key} = ?", (value, whose)
            )
        connection.commit()


def _insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    plain = {name: str(value) if hasattr(value, "year") else value for name, value in row.items()}
    marks = ", ".join("?" * len(plain))
    connection.execute(
        f"INSERT INTO {table} ({', '.join(plain)}) VALUES ({marks})", [*plain.values()]
    )


def test_every_value_of_any_file_is_on_postgresql_or_kept_in_an_event(places: Places) -> None:
    server = places.migrated("postgresql")

    # To make a failing example smaller takes minutes; it is not large.
    @settings(SLOW, max_examples=rounds(4, 200), phases=[Phase.generate])
    @given(changes)
    def nothing_is_lost(drawn: list[tuple[int, tuple[str, str], Any]]) -> None:
        source = places.migrated("sqlite")
        make(Path(source.removeprefix("sqlite:///")), drawn)
        with psycopg.connect(server) as connection:
            connection.execute(f"TRUNCATE {', '.join(TABLES)}")
        report = copy_database(source, server)
        assert report.ok
        lost = changed(source, server) - kept(server)
        assert lost == set()
        assert len(report.carried) <= len(kept(server))

    nothing_is_lost()
