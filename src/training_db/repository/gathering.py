"""Values gathered by an attribute of the runs whose they are."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from training_db.db.engine import joins_by_hash
from training_db.models.types import gathered
from training_db.repository.grouping import identity
from training_db.repository.selectivity import FEW

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from sqlalchemy import Connection, Select

    from training_db.repository.filters import Filter
    from training_db.repository.grouping import Attribute


@dataclass(slots=True)
class Gathered:
    """Values of the runs that have one value of an attribute.

    Attributes:
        group: The value of the attribute.
        name: Whose values they are, such as the objective.
        values: The values, all finite.
    """

    group: Any
    name: str
    values: list[float]


def gather(
    connection: Connection, attribute: Attribute, tree: Filter, run: Any, asked: Select[Any]
) -> list[Gathered]:
    """Gather values by an attribute of the runs whose they are.

    Args:
        connection: Where.
        attribute: By what.
        tree: Of which runs.
        run: The column of a run by which the values say whose they are.
        asked: Selects ``run``, ``name`` and ``value``.

    Returns:
        The values of each group and name that has any, in rising order, so that what is drawn
        from them by a seed is the same on each backend.
    """
    join = _joined_there if joins_by_hash(connection) else _joined_here
    found: dict[tuple[Hashable, str], Gathered] = {}
    for key, name, values in join(connection, attribute, tree, run, asked):
        group = attribute.value(key)
        one = found.setdefault((identity(group), name), Gathered(group, name, []))
        one.values.extend(values)
    for one in found.values():
        one.values.sort()
    return list(found.values())


def _joined_there(
    connection: Connection, attribute: Attribute, tree: Filter, run: Any, asked: Select[Any]
) -> Iterator[tuple[Sequence[Any], str, Iterable[float]]]:
    runs, measured = attribute.of_runs(tree, run.label("run")), asked.subquery()
    keys, name = attribute.keys(runs), measured.c.name
    statement = (
        select(*keys, name, gathered(measured.c.value))
        .join_from(runs, measured, measured.c.run == runs.c.run)
        .group_by(*keys, name)
    )
    for row in connection.execute(statement):
        yield row, row[-2], row[-1]


def _joined_here(
    connection: Connection, attribute: Attribute, tree: Filter, run: Any, asked: Select[Any]
) -> Iterator[tuple[Sequence[Any], str, Iterable[float]]]:
    runs = attribute.of_runs(tree, run.label("run"))
    keys = attribute.keys(runs)
    owners: dict[Any, Sequence[Any]] = {}
    for row in connection.execute(select(*keys, gathered(runs.c.run)).group_by(*keys)):
        owners.update(dict.fromkeys(row[-1], row[:-1]))
    if len(owners) < FEW:  # else to read all values takes less time than to look them up
        asked = asked.where(asked.selected_columns.run.in_(select(runs.c.run)))
    measured = asked.subquery()
    statement = select(
        measured.c.name, gathered(measured.c.run), gathered(measured.c.value)
    ).group_by(measured.c.name)
    for name, of_runs, values in connection.execute(statement):
        found: defaultdict[Sequence[Any] | None, list[float]] = defaultdict(list)
        for key, value in zip(map(owners.get, of_runs), values, strict=True):
            found[key].append(value)
        for key, of_key in found.items():
            if key is not None:  # which it is for runs that do not match
                yield key, name, of_key
