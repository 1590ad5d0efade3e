"""Runs of W&B, out of its public API: whole and unsampled, and each time what is new only."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar

from training_db.capture.remote.client import Gone, Refused, WandBClient
from training_db.capture.remote.filters import created_since, read_filters, read_path
from training_db.capture.remote.jobs import side_by_side
from training_db.capture.remote.rows import PAGE_ROWS, RemoteRows
from training_db.capture.remote.run import (
    SOURCE,
    add_artifacts,
    add_metadata,
    artifacts_of,
    captured,
    files_of,
    forget_folders,
    metadata_of,
)
from training_db.capture.storing.outcome import ImportOutcome
from training_db.capture.storing.run_store import RunStore
from training_db.db.session import primary_only
from training_db.errors import (
    InvalidInput,
    InvalidValue,
    NotFound,
    SourceUnavailable,
    TrainingDBError,
)
from training_db.recording.rows import STEP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from wandb.apis.public import Run

    from training_db.capture.captured import CapturedRun
    from training_db.database import TrainingDB

_T = TypeVar("_T")

TIMEOUT_SECONDS = 60.0
JOBS = 4


def import_wandb_project(
    db: TrainingDB,
    path: str,
    filters: str | Mapping[str, Any] | None = None,
    since: object = None,
    jobs: int = JOBS,
    timeout: float = TIMEOUT_SECONDS,
    progress: Callable[[int, int, ImportOutcome | None], object] | None = None,
) -> list[ImportOutcome]:
    """Import the runs of a W&B project from W&B's server.

    Args:
        db: The database to import into.
        path: ``ENTITY/PROJECT``, or ``ENTITY/PROJECT/RUN`` for one run; or the address of its page.
        filters: Only runs that match: in the language of W&B's API, as a mapping or as JSON; or
            pairs such as ``"state=finished,config.lr=0.1"``.
        since: Only runs that were created after this: a time, or how long ago, such as ``"7d"``.
        jobs: How many runs are read at once.
        timeout: Seconds after which a server that fails, or does not answer, is given up.
        progress: Called with how many runs are done, how many there are, and what became of the
            one that was done last; before the first with ``None``.

    Returns:
        What became of each run, oldest first. Of a run that is here already what is new was
        added. A run that cannot be read has an ``error``, and does not stop the others.

    Raises:
        SourceUnavailable: The server does not answer, answers with errors only, or refuses the
            key. What was imported stays, and the next import goes on from it.
        NotFound: There is no such project, or no such run.
        InvalidValue: A path, filter or time that cannot be read.
        MissingExtra: wandb is not installed.

    Example:
        >>> db = getfixture("example_db")
        >>> import_wandb_project(db, "qed")
        Traceback (most recent call last):
        training_db.errors.InvalidValue: 'qed' names no project of W&B; write ENTITY/PROJECT, ...
    """
    project, run_id = read_path(path)
    wanted = created_since(read_filters(filters), since)
    if jobs < 1 or not timeout > 0:
        raise InvalidValue(f"{jobs} jobs and {timeout} s are not both positive; give 1 or more")
    db.runs.count()  # a database that is not there is said before anybody is asked
    client = WandBClient(timeout)
    runs = [client.run(f"{project}/{run_id}")] if run_id else client.runs(project, wanted)
    forget_folders(runs)
    outcomes: dict[int, ImportOutcome] = {}
    # One at a time: SQLite has one writer, and who waits for its lock is served in no order.
    writing = threading.Lock()
    told = threading.Lock()

    def work(number: int) -> None:
        outcome = _imported(db, client, runs[number], writing)
        with told:
            outcomes[number] = outcome
            if progress:
                progress(len(outcomes), len(runs), outcome)

    if progress:
        progress(0, len(runs), None)
    side_by_side(len(runs), jobs, work, client.patience.stop)
    return [outcomes[number] for number in range(len(runs))]


@primary_only()
def _imported(
    db: TrainingDB, client: WandBClient, run: Run, writing: threading.Lock
) -> ImportOutcome:
    """Import one run.

    Raises:
        SourceUnavailable: The server is gone for all.
    """
    began = time.monotonic()
    name = f"{run.entity}/{run.project}/{run.id}"
    fault: TrainingDBError | None = None
    for page_rows in PAGE_ROWS:
        try:
            return _RunImport(db, client, run, writing, page_rows).outcome()
        except SourceUnavailable as error:
            # A run may be too much for the server, or broken there, while the others are well.
            if isinstance(error, Refused) or client.is_gone(run) or client.is_useless:
                raise
            fault = error
        except Gone:
            fault = NotFound(f"{client.server} has no run {name!r} any more")
            break
        except (InvalidInput, NotFound) as error:  # it cannot be stored, or was deleted here
            fault = error
            break
    seconds = time.monotonic() - began
    return ImportOutcome(SOURCE, name, name=run.name, error=str(fault), seconds=seconds)


class _RunImport:
    """The import of one run, in the order that lets a killed one go on."""

    def __init__(
        self,
        db: TrainingDB,
        client: WandBClient,
        run: Run,
        writing: threading.Lock,
        page_rows: int,
    ) -> None:
        self._db, self._client, self._run, self._writing = db, client, run, writing
        self._page_rows = page_rows
        self._damage: list[str] = []

    def outcome(self) -> ImportOutcome:
        """Import the run, and return what became of it."""
        client, run = self._client, self._run
        client.ask(lambda: run.load_full_data(force=True))
        found = captured(run)
        with self._writing:
            store = RunStore(self._db, found, file=found.source_id)
        rows = self._rows(store, found)
        if not self._are_stored(store, rows):
            self._damage.append(
                "rows that were imported before are others at the server now, so its history was "
                "stored anew"
            )
            with self._writing:
                store.forget()
            rows = self._rows_from(0)
            self._are_stored(store, rows)
        found.metric_paths = rows.paths
        for metadata in self._listed("metadata", metadata_of):
            add_metadata(found, metadata)
        add_artifacts(found, self._listed("files", files_of))
        add_artifacts(found, self._listed("artifacts", artifacts_of))
        self._compare_lines(store, rows, found)
        with self._writing:
            store.finish(found, damage=self._damage)
            store.verify(dict(rows.counts))
        client.note_use()
        return store.outcome(rows=max(rows.rows, store.first_row))

    def _rows(self, store: RunStore, found: CapturedRun) -> RemoteRows:
        stored = store.first_row
        if not stored:
            return self._rows_from(0)
        note = store.note
        step = last_stored_step(self._db, store.run_id, found.writer, stored)
        rows = self._rows_from(stored, step, note.data.get("metric_paths"))
        if step is not None:
            rows.counts.update(self._db.history.counts(store.run_id, [found.writer], rows=stored))
            rows.counts.update(note.already_here)
        return rows

    def _rows_from(self, stored: int, *place: Any) -> RemoteRows:
        return RemoteRows(self._client, self._run, self._page_rows, stored, *place)

    def _are_stored(self, store: RunStore, rows: RemoteRows) -> bool:
        """Store rows, unless those that are stored already are others."""
        for batch in rows.batches():
            if not store.agrees_with(batch):
                return False
            with self._writing:
                store.write(batch)
        return True

    def _listed(self, what: str, listed: Callable[[Run], Iterable[_T]]) -> list[_T]:
        """List what takes requests of its own; what cannot be had of it does not cost the run."""
        came: list[_T] = []
        try:
            self._client.ask(lambda: came.extend(listed(self._run)), lambda: len(came))
        except Refused:
            raise
        except SourceUnavailable as error:
            if self._client.is_gone(self._run):
                raise
            self._damage.append(f"its {what} could not be had: {error}")
        return [*came]  # whoever was given up may go on listing

    def _compare_lines(self, store: RunStore, rows: RemoteRows, found: CapturedRun) -> None:
        if rows.rows < store.first_row:
            self._damage.append(
                f"the server has fewer rows than the {store.first_row} that were imported before, "
                "which were left as they are"
            )
        lines = found.details.get("line_count") or 0
        if rows.rows < lines and found.ended_at is not None:
            self._damage.append(f"the server counts {lines} rows, and gave {rows.rows}")


def last_stored_step(db: TrainingDB, run_id: str, writer: int, rows: int) -> int | None:
    """Return the step of the last row that is stored of a writer.

    Args:
        db: The database.
        run_id: The run.
        writer: The writer.
        rows: How many rows it has stored.

    Returns:
        The step; ``None`` where not every row has one here, so that none can be gone on from.
    """
    if db.history.counts(run_id, [writer], rows=rows).get(STEP) != rows:
        return None
    columns = db.history.columns_of(run_id, [writer], [STEP], first_row=rows - 1).get(writer, {})
    steps = columns.get(STEP)
    if steps is None or not len(steps) or int(steps.rows[-1]) != rows - 1:
        return None
    return int(steps.values[-1])
