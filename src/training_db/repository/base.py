"""What every repository shares: where its transactions come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Table, select, type_coerce

from training_db.documents import check_text, plain_json
from training_db.errors import InvalidValue, RunNotFound
from training_db.models import training_runs
from training_db.models.types import Timestamp, UTCDateTime

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import ColumnElement, Connection, Result

    from training_db.db.session import Transactions

Record = TypeVar("Record", bound=dict[str, Any])


class Repository:
    """Queries on one kind of record.

    Args:
        transactions: Where each method gets its connection from.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions


def shown_columns(table: Table, without: Iterable[str] = ()) -> list[ColumnElement[Any]]:
    """Return the columns as they are shown: times as text, and nothing only one backend has."""
    return [
        type_coerce(column, Timestamp).label(column.name)
        if isinstance(column.type, UTCDateTime)
        else column
        for column in table.c
        if column.computed is None and column.name not in set(without)
    ]


def as_dicts(result: Result[Any], kind: type[Record]) -> list[Record]:
    """Return rows as dicts of a kind, their JSON as text that ``json.loads`` reads."""
    names = tuple(result.keys())
    documents = [name for name in names if name.endswith("_json")]
    records = [kind(zip(names, row, strict=True)) for row in result.all()]
    for record in records:
        for name in documents:
            if record[name] is not None:
                record[name] = plain_json(record[name])
    return records


def require_run(connection: Connection, run_id: str) -> None:
    """Raise unless the run is there.

    Raises:
        RunNotFound: It is not.
    """
    found = connection.execute(
        select(training_runs.c.run_id).where(training_runs.c.run_id == run_key(run_id))
    )
    if found.first() is None:
        raise RunNotFound(run_id)


def run_number(connection: Connection, run_id: str) -> int:
    """Return the number of a run, by which the tables of its history refer to it.

    Raises:
        RunNotFound: There is no such run.
    """
    number: int | None = connection.execute(
        select(training_runs.c.number).where(training_runs.c.run_id == run_key(run_id))
    ).scalar()
    if number is None:
        raise RunNotFound(run_id)
    return number


def run_key(run_id: object) -> str:
    """Return the id of a run, which is text on both backends."""
    if not isinstance(run_id, str):
        raise InvalidValue(f"the run id {run_id!r} is no text")
    return check_text(run_id, "the run id")


def page_size(value: int | None, name: str) -> int | None:
    """Return a limit or offset that both backends take."""
    if value is None and name == "limit":
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**62:
        raise InvalidValue(f"{name} is {value!r}; pass a whole number, 0 or more")
    return value
