"""The names of metrics, and the numbers they go by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, text

from training_db.db.version import VERSION_TABLE
from training_db.documents import is_storable
from training_db.errors import InvalidValue, MetricNotFound
from training_db.models import metric_names, run_metrics, training_runs
from training_db.models.types import LONGEST_INDEXED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Column, Connection

_NAMES_AT_ONCE = 500


def metric_ids(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """Return the id of each metric, made where it is new.

    Raises:
        InvalidValue: A name that the database cannot hold.
    """
    wanted = list(names)
    found = known_metrics(connection, wanted)
    new = [name for name in wanted if name not in found]
    if not new:
        return found
    for name in new:
        check_metric_name(name)
    # One at a time: two writers that make the same names in another order would wait for each
    # other for ever.
    lock = select(text("version_num")).select_from(text(VERSION_TABLE)).with_for_update()
    connection.execute(lock)
    found |= known_metrics(connection, new)
    missing = [{"name": name} for name in new if name not in found]
    if missing:
        connection.execute(insert(metric_names), missing)
    return found | known_metrics(connection, new)


def known_metrics(connection: Connection, names: Iterable[str]) -> dict[str, int]:
    """Return the ids of those metrics that there are."""
    storable = [name for name in names if isinstance(name, str) and is_storable(name)]
    return _looked_up(connection, metric_names.c.name, metric_names.c.id, storable)


def names_of(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Return the names of metrics by their ids."""
    return _looked_up(connection, metric_names.c.id, metric_names.c.name, list(ids))


def _looked_up(
    connection: Connection, key: Column[Any], value: Column[Any], wanted: Sequence[Any]
) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for start in range(0, len(wanted), _NAMES_AT_ONCE):
        some = key.in_(wanted[start : start + _NAMES_AT_ONCE])
        found.update(
            (one, other) for one, other in connection.execute(select(key, value).where(some))
        )
    return found


def check_metric_name(name: object) -> None:
    """Make sure that a metric can have this name.

    Raises:
        InvalidValue: It cannot.
    """
    if not isinstance(name, str) or not name:
        raise InvalidValue(f"the metric name {name!r} is no text; name it by a word")
    if not is_storable(name):
        raise InvalidValue(
            f"the metric name {name!r} holds a NUL character or a lone surrogate; rename it"
        )
    if len(name.encode()) > LONGEST_INDEXED:
        raise InvalidValue(
            f"the metric name {name[:60]!r}... is longer than {LONGEST_INDEXED} bytes; shorten it"
        )


def metrics_of(connection: Connection, runs: Sequence[str]) -> dict[str, list[str]]:
    """Return the names of all metrics of each run, in the order in which they became known."""
    rows = connection.execute(
        select(training_runs.c.run_id, metric_names.c.name)
        .join(run_metrics, run_metrics.c.run_number == training_runs.c.number)
        .join(metric_names, metric_names.c.id == run_metrics.c.metric_id)
        .where(training_runs.c.run_id.in_(runs))
        .order_by(metric_names.c.id)
    )
    names: dict[str, list[str]] = {run_id: [] for run_id in runs}
    for run_id, name in rows:
        names[run_id].append(name)
    return names


def require_metric(connection: Connection, runs: Sequence[str] | None, name: str) -> None:
    """Raise unless one of the runs, or any run at all, has the metric.

    Raises:
        MetricNotFound: None has.
    """
    names = select(metric_names.c.name).order_by(metric_names.c.id)
    if runs is not None:
        numbers = select(training_runs.c.number).where(training_runs.c.run_id.in_(runs))
        of_runs = select(run_metrics.c.metric_id).where(run_metrics.c.run_number.in_(numbers))
        names = names.where(metric_names.c.id.in_(of_runs))
    present = connection.scalars(names).all()
    if not isinstance(name, str) or name not in present:
        raise MetricNotFound(name, present)
