"""From a spool to the database: a batch of rows, with what belongs to it, in one transaction.

The database knows how many rows of a writer it has. So a batch that is sent again, after a fault
that hid whether it arrived, adds nothing.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from training_db.errors import DatabaseError, InvalidInput, TrainingDBError
from training_db.recording.complaints import warn
from training_db.recording.facts import FACTS, tell
from training_db.recording.rows import EPOCH, STEP, TIMESTAMP

if TYPE_CHECKING:
    from collections.abc import Callable

    from training_db.recording.place import Database
    from training_db.recording.spool import Batch, Spool

MOST_CELLS = 2_000_000
"""Cells that are sent at once: 16 MB of numbers."""

_KEPT = (STEP, TIMESTAMP, EPOCH)


def send(
    db: Database,
    run_id: str,
    spool: Spool,
    stop: int,
    also: Callable[[], None],
    most_cells: int = MOST_CELLS,
) -> None:
    """Send the next rows and events of a spool, and forget them there.

    Args:
        db: The database.
        run_id: The run, which is there.
        spool: Where the rows are.
        stop: The number of the row to stop before.
        also: What else belongs to the transaction, and is done first.
        most_cells: How much to send, about.

    Raises:
        TrainingDBError: The database did not take it; nothing is lost.
    """
    batch = spool.read(most_cells, stop)
    try:
        _send(db, run_id, spool, batch, also)
    except (InvalidInput, TypeError, ValueError, ArithmeticError) as error:
        if isinstance(error, TrainingDBError) and not isinstance(error, InvalidInput):
            raise
        # One row that the database refuses must not hold up all that come after it.
        middle = (batch.first + batch.stop) // 2
        if middle > batch.first:
            send(db, run_id, spool, middle, also, most_cells)
        else:
            _send(db, run_id, spool, batch, also, refused=error)


def _send(
    db: Database,
    run_id: str,
    spool: Spool,
    batch: Batch,
    also: Callable[[], None],
    refused: Exception | None = None,
) -> None:
    columns = batch.columns()
    values: list[Any] = []
    if refused is not None:
        values = [[name, cells.values.tolist()[0]] for name, cells in columns.items()]
        columns = {name: cells for name, cells in columns.items() if name in _KEPT}
    last_event = spool.next_event
    events = spool.events()
    with db.transaction():
        also()
        if columns:
            following = db.history.write(run_id, spool.writer, columns, (batch.first, batch.stop))
            if following < batch.stop:
                raise DatabaseError(
                    f"rows {batch.first} to {batch.stop} of run {run_id!r} were written, but the "
                    f"database says that row {following} comes next"
                )
        if refused is not None:
            note(
                db, run_id, f"{spool.writer}:row {batch.first}",
                kind="error",
                message=f"a row is here, for the history did not take it: {refused}",
                data={"row": batch.first, "values": values},
                happened_at=datetime.now(UTC).timestamp(),
            )  # fmt: skip
        for number, event in events:
            note(db, run_id, f"{spool.writer}:{number}", **event)
    spool.forget(batch)
    # Without any, there are none before the number that comes next.
    spool.forget_events(events[-1][0] + 1 if events else last_event)


def note(db: Database, run_id: str, key: str, **event: Any) -> None:
    """Write an event of a run, or the facts that it stands for.

    Args:
        db: The database; the caller has begun a transaction.
        run_id: The run, which is there.
        key: By which the event is known again when it is sent again.
        event: Its ``kind``, ``message``, ``data`` and ``happened_at``, in Unix seconds.
    """
    moment = datetime.fromtimestamp(event.pop("happened_at"), UTC)
    if event["kind"] == FACTS:
        tell(db, run_id, event["data"])
        return
    try:
        with db.transaction():
            db.events.add(run_id, **event, happened_at=moment, event_key=key)
    except InvalidInput as error:
        warn(f"an event of run {run_id!r} was not stored: {error}")
