"""Hand-made tables set aside: out of the way of the migrations, until their rows are copied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from collections.abc import Iterable

    from training_db.db.report import Note

PREFIX = "training_db_old_"
_OURS = ("ix_", "uq_", "training_runs_number")  # indexes and the trigger


class Aside:
    """Tables under other names, with what belongs to them.

    Args:
        connection: A connection in the transaction of the adoption.
        tables: The tables, parents before children.
        note: Takes a line for each thing that goes.
    """

    def __init__(self, connection: Connection, tables: Iterable[str], note: Note) -> None:
        self._connection = connection
        self._tables = list(tables)
        self._note = note
        self._later: list[str] = []  # what is put back at the end
        self._sqlite = connection.dialect.name == "sqlite"

    def put(self) -> None:
        """Rename the tables, and whatever of theirs has a name that ours will need."""
        if self._sqlite:
            # Otherwise other tables and views that refer to ours would follow the new name.
            self._run("PRAGMA legacy_alter_table = ON")
            for table in self._tables:
                self._put_sqlite(table)
        else:
            for number, table in enumerate(self._tables):
                self._put_postgresql(number, table)

    def drop(self) -> None:
        """Drop the tables, and put back what others had to do with them."""
        for table in reversed(self._tables):
            self._run(f"DROP TABLE {PREFIX}{table}")
        for statement in self._later:
            self._run(statement)
        if self._sqlite:
            self._run("PRAGMA legacy_alter_table = OFF")

    def _put_sqlite(self, table: str) -> None:
        things = self._rows(
            "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = :table "
            "AND type IN ('index', 'trigger') AND sql IS NOT NULL",
            table=table,
        )
        for kind, name, made_by in things:
            self._run(f"DROP {kind} {self._quoted(name)}")
            self._tell(kind, name, table, made_by)
        self._run(f"ALTER TABLE {table} RENAME TO {PREFIX}{table}")

    def _put_postgresql(self, number: int, table: str) -> None:
        for name, made_by in self._rows(
            "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger "
            "WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal",
            table=table,
        ):
            self._tell("trigger", name, table, made_by)
        self._keep_references(table)
        self._keep_grants(table)
        belongings = self._rows(
            "SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'INDEX' END, relname, "
            "CASE relkind WHEN 'S' THEN '' ELSE pg_get_indexdef(oid) END, "
            "EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = pg_class.oid) "
            "FROM pg_class WHERE relkind IN ('i', 'S') AND oid IN ("
            " SELECT indexrelid FROM pg_index WHERE indrelid = to_regclass(:table) UNION ALL"
            " SELECT objid FROM pg_depend WHERE refobjid = to_regclass(:table)"
            " AND deptype IN ('a', 'i'))",
            table=table,
        )
        for position, (kind, name, made_by, constraint) in enumerate(belongings):
            # The names of indexes and sequences are shared by the whole schema.
            self._run(f"ALTER {kind} {self._quoted(name)} RENAME TO {PREFIX}{number}_{position}")
            if kind == "INDEX" and not constraint:
                self._tell("index", name, table, made_by)
        self._run(f"ALTER TABLE {table} RENAME TO {PREFIX}{table}")

    def _keep_references(self, table: str) -> None:
        """Take off the foreign keys of other people's tables, to put them on our table later."""
        for other, name, made_by in self._rows(
            "SELECT CAST(CAST(conrelid AS regclass) AS text), conname, pg_get_constraintdef(oid) "
            "FROM pg_constraint WHERE contype = 'f' AND confrelid = to_regclass(:table) "
            "AND NOT CAST(CAST(conrelid AS regclass) AS text) = ANY (:ours)",
            table=table,
            ours=[*self._tables, *(PREFIX + ours for ours in self._tables)],
        ):
            self._run(f"ALTER TABLE {other} DROP CONSTRAINT {self._quoted(name)}")
            self._later.append(f"ALTER TABLE {other} ADD CONSTRAINT {self._quoted(name)} {made_by}")

    def _keep_grants(self, table: str) -> None:
        for privilege, grantee in self._rows(
            "SELECT privilege_type, "
            "CASE grantee WHEN 0 THEN 'PUBLIC' ELSE CAST(CAST(grantee AS regrole) AS text) END "
            "FROM pg_class, aclexplode(relacl) "
            "WHERE oid = to_regclass(:table) AND grantee <> relowner",
            table=table,
        ):
            self._later.append(f"GRANT {privilege} ON {table} TO {grantee}")

    def _tell(self, kind: str, name: str, table: str, made_by: str) -> None:
        if not name.startswith(_OURS):
            # Our own are made anew; anybody else's is theirs to make again.
            self._note(f"the {kind} {name} of {table} went; it was: {' '.join(made_by.split())}")

    def _quoted(self, name: str) -> str:
        return self._connection.dialect.identifier_preparer.quote(name)

    def _rows(self, statement: str, **values: Any) -> list[Any]:
        return list(self._connection.execute(text(statement), values).all())

    def _run(self, statement: str) -> None:
        # Definitions come from the database itself; only psycopg reads signs in them.
        self._connection.exec_driver_sql(
            statement if self._sqlite else statement.replace("%", "%%")
        )
