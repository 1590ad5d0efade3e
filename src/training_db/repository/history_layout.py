"""How the history of a run was written that came as one value: what its segments do not say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from training_db.documents import decode, encode
from training_db.models import training_runs

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection

MOVED = 0
"""The writer of histories that came as one value."""

_VERBATIM = "="
_run = training_runs.c


def read_layout(connection: Connection, run_id: str) -> dict[str, Any] | str | None:
    """Return the layout of the history of a run.

    Args:
        connection: A connection.
        run_id: The run.

    Returns:
        ``None`` for an object of lists, one a metric, all of them as long as there are rows. A
        text is the whole of a history that is no table. A mapping says ``form`` (``"columns"`` or
        ``"rows"``) and, where they are not as one would think: ``keys`` in their order, ``length``
        in rows, ``lengths`` of single lists, ``other`` members that are no list, and whether NaN
        was written ``bare``.
    """
    found = connection.execute(select(_run.history_layout).where(_run.run_id == run_id)).scalar()
    if found is None or found.startswith(_VERBATIM):
        return None if found is None else str(found[1:])
    layout: dict[str, Any] = decode(found)
    return layout


def write_layout(connection: Connection, run_id: str, layout: dict[str, Any] | None) -> None:
    """Note the layout of the history of a run; ``None`` where there is nothing to be said."""
    text = None if layout is None else encode(layout, "history")
    change = update(training_runs).where(_run.run_id == run_id).values(history_layout=text)
    connection.execute(change)


def forget_in_layout(connection: Connection, run_id: str, names: Collection[str]) -> None:
    """Take metrics out of the layout that are deleted."""
    layout = read_layout(connection, run_id)
    if not isinstance(layout, dict):
        return
    if "keys" in layout:
        layout["keys"] = [name for name in layout["keys"] if name not in names]
    for part in ("lengths", "other"):
        if part in layout:
            layout[part] = {key: one for key, one in layout[part].items() if key not in names}
    write_layout(connection, run_id, layout)


def moved_length(connection: Connection, run_id: str) -> int:
    """Return how many rows a history had that came as one value, empty ones at its end too."""
    layout = read_layout(connection, run_id)
    return int(layout.get("length", 0)) if isinstance(layout, dict) else 0
