"""What may be pasted into SQL, by module, as it stands in the code: nothing a caller passes."""

from __future__ import annotations

OURS = {
    "alembic/backfill_v2.py": (
        "', '.join((f':{name}' for name in OBJECTIVE_KINDS))",
        "_unnested(OBJECTIVE_KINDS)",
        "_unnested(kinds)",
        "fills",
        "names",
        "sets",
        "times",
        "values",
    ),
    "alembic/history_back_v3.py": ("columns", "condition"),
    "alembic/postgresql_v3.py": ("column", "form", "names", "table"),
    "alembic/sqlite_v3.py": ("layout", "marks", "names", "number", "table"),
    "alembic/versions/v2_1_history.py": ("counts",),
    "alembic/versions/v2_objectives.py": ("', '.join(columns)", "rows"),
    "alembic/versions/v3_history_segments.py": ("rows", "settings"),
    "src/training_db/db/adoption.py": (
        "name",
        "numbered",
        "order",
        "self._table",
        "sequence",
        "table",
    ),
    "src/training_db/db/aside.py": ("number", "other", "position", "table"),
    "src/training_db/db/drift.py": ("index.name", "statement", "table.name"),
    "src/training_db/db/dumps.py": ("', '.join((name for name in OURS if name in there))",),
    "src/training_db/db/engine/damage.py": ("pragma",),
    "src/training_db/db/engine/health.py": ("statement", "table.name"),
    "src/training_db/db/engine/loading.py": (
        "', '.join((table.name for table in tables))",
        "following",
        "memory",
        "names",
    ),
    "src/training_db/db/engine/salvage.py": ("marks",),
    "src/training_db/db/engine/server_health.py": ("table.name", "whole"),
    "src/training_db/db/engine/space.py": ("how", "name", "names", "table.name"),
    "src/training_db/db/engine/statements.py": ("form", "marks", "names", "table.name"),
    "src/training_db/db/engine/streams.py": ("compiled", "marks"),
    "src/training_db/db/exclusive.py": ("setting",),
    "src/training_db/db/inspection.py": ("table",),
    "src/training_db/db/row_checks.py": (
        "', '.join(texts)",
        "column",
        "key",
        "known",
        "named",
        "parent",
        "place",
        "present",
        "query",
        "table",
    ),
    "src/training_db/transfer/copying/extras.py": ("carried.name",),
    "src/training_db/transfer/copying/places.py": ("of_what",),
    "src/training_db/upkeep/checks/server.py": ("name",),
}
"""Names of our own tables and columns, and words of SQL that stand in the code."""

QUOTED = {
    "src/training_db/db/adoption.py": ("', '.join(columns)", "', '.join(values)", "adds", "quoted"),
    "src/training_db/db/aside.py": ("self._quoted(name)",),
    "src/training_db/db/engine/damage.py": ("quoted",),
    "src/training_db/db/engine/health.py": ("name",),
    "src/training_db/db/engine/loading.py": ("quote(name)",),
    "src/training_db/db/engine/salvage.py": (
        "', '.join(map(quoted_name, names))",
        "quoted_name(index)",
        "quoted_name(names[0])",
        "columns",
        "listed",
        "rest",
        "self._quoted",
    ),
    "src/training_db/db/engine/streams.py": ("names", "quote(table)", "start"),
    "src/training_db/transfer/copying/extras.py": ("quote(extra.name)",),
}
"""Names of somebody else's columns, tables and indexes, quoted as the database wants it."""

TOLD = {
    "src/training_db/db/aside.py": ("grantee", "kind", "made_by", "privilege"),
    "src/training_db/db/drift.py": ("info['using']", "info['where']"),
    "src/training_db/transfer/copying/extras.py": ("declared",),
}
"""Definitions of the database's own, as it gives them, to be made again."""

COUNTED = {
    "src/training_db/db/row_checks.py": ("_NAMED + 1",),
    "src/training_db/upkeep/checks/server.py": ("2 * most", "lag.name", "one.pid"),
}
"""Numbers of the server's, and names that can have letters, digits and _ only."""

ALLOWED = {
    name: {part for kind in (OURS, QUOTED, TOLD, COUNTED) for part in kind.get(name, ())}
    for name in {*OURS, *QUOTED, *TOLD, *COUNTED}
}
