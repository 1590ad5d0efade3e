"""The database that is copied into: what is in it, and how runs get into it and out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, select

from training_db.db.engine.streams import write_rows
from training_db.models import metric_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from training_db.db.engine.streams import Row
    from training_db.transfer.copying.carried import Carried


class Writer:
    """Writes runs into a database, in a transaction.

    Args:
        connection: A connection in a transaction that writes.
        tables: The tables, as the source has them.
        keeps_ids: Whether rows come with ids of their own, as they can where nothing is yet.
    """

    def __init__(
        self, connection: Connection, tables: Sequence[Carried], *, keeps_ids: bool
    ) -> None:
        self.connection = connection
        self._tables = tables
        self._keeps_ids = keeps_ids

    def write(self, carried: Carried, rows: Iterable[Row]) -> None:
        """Write rows of a table."""
        columns, kinds = carried.columns, carried.kinds
        if not self._keeps_ids and columns[0] == "id":
            # The database numbers them.
            columns, kinds, rows = columns[1:], kinds[1:], (row[1:] for row in rows)
        write_rows(self.connection, carried.name, columns, kinds, rows)

    def remove(self, numbers: Collection[int]) -> None:
        """Delete runs with all their rows; there may be no foreign key that would do it."""
        if numbers:
            for carried in reversed(self._tables):
                chosen = carried.of_runs(lambda number: number.in_(numbers))
                self.connection.execute(delete(carried.table).where(chosen))

    def metrics(self, names: Mapping[int, str]) -> dict[int, int] | None:
        """Make sure that all metrics are there.

        Args:
            names: The metrics of the source, by id.

        Returns:
            Their ids here by those in the source; ``None`` where all are the same.
        """
        query = select(metric_names.c.name, metric_names.c.id)
        here: dict[str, int] = {row.name: row.id for row in self.connection.execute(query)}
        taken = set(here.values())
        following = max([0, *taken, *names]) + 1
        added = []
        for metric, name in names.items():
            if name in here:
                continue
            if metric in taken:
                metric, following = following, following + 1  # noqa: PLW2901 - the id it has here
            taken.add(metric)
            here[name] = metric
            added.append((metric, name))
        if added:
            write_rows(self.connection, "metric_names", ("id", "name"), ("integer", "text"), added)
        places = {metric: here[name] for metric, name in names.items()}
        return None if all(old == new for old, new in places.items()) else places

    def forget_metrics(self, names: Collection[str]) -> None:
        """Delete all metrics but these."""
        query = select(metric_names.c.id, metric_names.c.name)
        gone = [metric for metric, name in self.connection.execute(query) if name not in names]
        for start in range(0, len(gone), 1_000):
            few = gone[start : start + 1_000]
            self.connection.execute(delete(metric_names).where(metric_names.c.id.in_(few)))
