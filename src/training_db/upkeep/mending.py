"""What the doctor mends by itself: each kind of damage by what is known for certain."""

from __future__ import annotations

import base64
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, text, update

from training_db.counts import counted
from training_db.db.backup import copy_file
from training_db.db.drift import missing_parts
from training_db.db.engine import open_engine
from training_db.db.engine.health import (
    drop_half_made,
    invalid_indexes,
    rebuild_indexes,
    refresh_statistics,
)
from training_db.db.exclusive import exclusive
from training_db.db.version import HEAD, check_schema
from training_db.documents import encode
from training_db.errors import DatabaseUnavailable, UnknownName
from training_db.models import Base, metric_names, run_events, training_runs
from training_db.models.types import utc_now
from training_db.repository.clock import clock
from training_db.repository.history_counts import stored_counts
from training_db.repository.history_deletion import make_totals_anew
from training_db.repository.soundness import (
    HistoryState,
    Part,
    delete_orphans,
    delete_part,
    forget_totals,
    history_state,
    numbered_runs,
    stored_part,
)
from training_db.settings import STATEMENT_TIMEOUT, resolve_url, sqlite_path

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL, Connection, Engine

    from training_db.db.report import Progress

_METRICS_AT_ONCE = 50
_AHEAD = timedelta(minutes=1)


def mend(
    place: str | os.PathLike[str] | URL | None,
    what: str,
    *,
    backup: bool = True,
    progress: Progress | None = None,
) -> list[str]:
    """Mend one kind of damage.

    Args:
        place: As for :func:`training_db.upkeep.doctor.examine`.
        what: ``schema`` (makes indexes that are missing), ``indexes`` (makes all of them anew),
            ``orphans`` (deletes rows whose run is not there), ``history`` (takes out what cannot be
            decoded and adds up totals), ``statistics`` (by which plans are made), ``clocks``
            (brings heartbeats of the future back).
        backup: Whether to copy a SQLite file first, where rows are changed.
        progress: Takes what is waited for.

    Returns:
        What was done, a line each.

    Raises:
        UnknownName: Nothing of that name can be mended.
        SchemaError: The schema is not the one that this version needs.

    Example:
        >>> from training_db import init_db
        >>> path = getfixture("tmp_path") / "runs.db"
        >>> init_db(path)
        >>> mend(path, "orphans", backup=False)
        ['there is nothing to mend']
    """
    if what not in MENDS:
        raise UnknownName("thing to mend", what, MENDS)
    # What is mended takes the time that it takes.
    engine = open_engine(resolve_url(place).difference_update_query([STATEMENT_TIMEOUT]))
    try:
        with engine.connect() as connection:
            check_schema(connection)
        return MENDS[what](_Patient(engine, backup, progress)) or ["there is nothing to mend"]
    finally:
        engine.dispose()


class _Patient:
    def __init__(self, engine: Engine, backup: bool, progress: Progress | None) -> None:
        self.engine, self._backup, self._progress = engine, backup, progress

    @contextmanager
    def changing(self, done: list[str]) -> Iterator[Connection]:
        """Open the one transaction in which rows are changed, of a file that was copied first."""
        with exclusive(self.engine, self._wait) as connection:
            path = sqlite_path(self.engine.url)
            if self._backup and path is not None:
                done.append(f"copied the file to {copy_file(path, HEAD, self._progress)}")
            yield connection

    def _wait(self, line: str) -> None:
        if self._progress is not None:
            self._progress(line, 0, 0)


def _schema(patient: _Patient) -> list[str]:
    done: list[str] = []
    with exclusive(patient.engine, patient._wait) as connection:
        for statement in missing_parts(connection):
            connection.execute(text(statement.replace(":", r"\:")))
            done.append(f"ran: {statement}")
    return done


def _indexes(patient: _Patient) -> list[str]:
    engine, done = patient.engine, []
    with engine.connect() as connection:
        half_made = invalid_indexes(connection, Base.metadata.sorted_tables)
    for index in half_made:
        drop_half_made(engine, index)
        done.append(f"dropped the half-made index {index}")
    done += _schema(patient)
    try:
        for table in Base.metadata.sorted_tables:
            rebuild_indexes(engine, table)
    except DatabaseUnavailable as error:
        raise DatabaseUnavailable(
            f"not all indexes could be made anew: {error}. If the file is damaged, write what can "
            "be read of it to a new one: training-db doctor --rescue NEW.db"
        ) from error
    return [*done, "made all indexes anew"]


def _orphans(patient: _Patient) -> list[str]:
    done: list[str] = []
    with patient.changing(done) as connection:
        counts = delete_orphans(connection)
    told = [f"deleted {counted(rows, 'row')} of {table}" for table, rows in counts.items()]
    return [*done, *told] if told else []


def _statistics(patient: _Patient) -> list[str]:
    refresh_statistics(patient.engine, Base.metadata.sorted_tables)
    return ["looked at all tables anew, by which plans are made"]


def _clocks(patient: _Patient) -> list[str]:
    done: list[str] = []
    heartbeat = training_runs.c.heartbeat_at
    with patient.changing(done) as connection:
        late = update(training_runs).where(heartbeat > clock(connection) + _AHEAD)
        changed = connection.execute(late.values(heartbeat_at=utc_now())).rowcount
    return [*done, f"brought {counted(changed, 'heartbeat')} back to now"] if changed else []


def _history(patient: _Patient) -> list[str]:
    with patient.engine.connect() as connection:
        runs = list(numbered_runs(connection))
        unsound = [
            state
            for run_id, number in runs
            if not (state := history_state(connection, run_id, number, decodes=True)).is_sound
        ]
    if not unsound:
        return []
    done: list[str] = []
    with patient.changing(done) as connection:
        for state in unsound:
            # Seen again, now that nobody else writes.
            now_seen = history_state(connection, state.run_id, state.number, decodes=True)
            if not now_seen.is_sound:
                done += _mend_history(connection, now_seen)
    return done


def _mend_history(connection: Connection, state: HistoryState) -> list[str]:
    done = []
    for part in state.damaged:
        cells = _set_aside(connection, part)
        done.append(f"{state.run_id}: took out {cells}, which could not be decoded")
    if state.is_thinned:
        # The totals say what was there, but where even more is stored.
        now_wrong = history_state(connection, state.run_id, state.number, decodes=True).wrong
        forget_totals(connection, state.number, now_wrong)
        names = [name for name in stored_counts(connection, state.number) if name in now_wrong]
    else:
        forget_totals(connection, state.number)
        names = list(stored_counts(connection, state.number))
    for start in range(0, len(names), _METRICS_AT_ONCE):
        some = names[start : start + _METRICS_AT_ONCE]
        make_totals_anew(connection, state.run_id, state.number, some)
    return [*done, f"{state.run_id}: added up {counted(len(names), 'total')} anew"]


def _set_aside(connection: Connection, part: Part) -> str:
    """Delete what cannot be decoded; its bytes stay in an event, should anyone know better."""
    stored = stored_part(connection, part)
    data: dict[str, Any] = {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in stored.items()
    }
    whose: str | None = "all metrics"
    if part.metric_id is not None:
        wanted = select(metric_names.c.name).where(metric_names.c.id == part.metric_id)
        whose = data["metric"] = connection.scalar(wanted)
    last = stored.get("last_row")
    cells = f"rows {part.first_row} to {last} of {whose}"
    connection.execute(
        insert(run_events).values(
            run_number=part.number,
            happened_at=utc_now(),
            kind="history.damaged",
            message=f"{cells} could not be decoded, and were taken out",
            data_json=encode(data),
        )
    )
    delete_part(connection, part)
    return cells


MENDS: dict[str, Callable[[_Patient], list[str]]] = {
    "schema": _schema,
    "indexes": _indexes,
    "orphans": _orphans,
    "history": _history,
    "statistics": _statistics,
    "clocks": _clocks,
}
"""What can be mended, and how."""
