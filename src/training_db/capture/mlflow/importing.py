"""Runs of MLflow, out of its own database: with every point, and each time what is new only."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from training_db.capture.mlflow.facts import captured_run, experiments_of, is_deleted, moment
from training_db.capture.mlflow.points import read_points
from training_db.capture.mlflow.source import MLflowDatabase
from training_db.capture.storing.outcome import ImportOutcome
from training_db.capture.storing.run_store import RunStore
from training_db.db.session import primary_only
from training_db.errors import Conflict, InvalidInput, UnknownName
from training_db.recording.rows import STEP, TIMESTAMP

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import URL

    from training_db.capture.captured import CapturedRun
    from training_db.capture.mlflow.points import Points
    from training_db.database import TrainingDB

    Progress = Callable[[str, int, int], object]

_LISTED = ("run_uuid", "experiment_id", "lifecycle_stage", "start_time")
_AXES = {STEP, TIMESTAMP}
_SHRUNK = (
    "the source has fewer points than were imported from it before, so what is stored was left as "
    "it is"
)
_REPLACED = "what is stored is not what the source begins with, so its history was stored anew"


def import_mlflow(
    db: TrainingDB,
    source: str | os.PathLike[str] | URL,
    experiments: str | Iterable[str] | None = None,
    deleted: bool = True,
    progress: Progress | None = None,
) -> list[ImportOutcome]:
    """Import the runs of an MLflow database.

    Args:
        db: The database to import into.
        source: The SQLite file or the URL of MLflow's database, its backend store. It is only
            read, and may be in use.
        experiments: The names of the experiments to import; ``None`` for all.
        deleted: Whether runs that lie in MLflow's trash are imported, into ours.
        progress: Called with the name of the source, how many of its runs are done, and how many
            there are.

    Returns:
        What became of each run, oldest first. Where a run is here already, what is new of it was
        added. A run that cannot be stored has an ``error``, and does not stop the others.

    Raises:
        UnreadableSource: The source is no database of MLflow.
        SourceUnavailable: Its server does not answer.
        MissingExtra: The driver for its server is not installed.
        UnknownName: It has no such experiment.

    A run keeps its id. Its experiment becomes the tag ``mlflow.experiment``; params become the
    config, in which texts that are numbers or bools become these; the latest metrics become the
    summary, and all points the history, ``_timestamp`` in seconds. The largest float, which MLflow
    writes for an infinity, becomes one.

    Example:
        >>> import sqlite3
        >>> path = getfixture("tmp_path") / "mlflow.db"
        >>> with sqlite3.connect(path) as mlflow:
        ...     _ = mlflow.executescript('''
        ...         CREATE TABLE experiments (experiment_id INTEGER, name TEXT);
        ...         CREATE TABLE runs (run_uuid TEXT, experiment_id INTEGER, status TEXT);
        ...         CREATE TABLE metrics (run_uuid TEXT, key TEXT, value FLOAT, timestamp BIGINT,
        ...                               step BIGINT, is_nan BOOLEAN);
        ...         INSERT INTO experiments VALUES (0, 'qed');
        ...         INSERT INTO runs VALUES ('a1', 0, 'FINISHED');
        ...         INSERT INTO metrics VALUES ('a1', 'loss', 0.5, 1700000000000, 7, 0);
        ...     ''')
        >>> mlflow.close()
        >>> db = getfixture("example_db")
        >>> [(one.run_id, one.new_rows) for one in import_mlflow(db, path)]
        [('a1', 1)]
        >>> [(one.run_id, one.new_rows) for one in import_mlflow(db, path)]
        [('a1', 0)]
    """
    return list(imported_runs(db, source, experiments, deleted, progress))


def imported_runs(
    db: TrainingDB,
    source: str | os.PathLike[str] | URL,
    experiments: str | Iterable[str] | None = None,
    deleted: bool = True,
    progress: Progress | None = None,
) -> Iterator[ImportOutcome]:
    """Import the runs of an MLflow database one after another; see :func:`import_mlflow`.

    Yields:
        What became of each, once it is done.
    """
    with MLflowDatabase(source) as mlflow:
        about, runs = _listed(mlflow, experiments, deleted)
        for done, run_uuid in enumerate(runs):
            if progress is not None:
                progress(mlflow.file_name, done, len(runs))
            outcome = _imported(db, mlflow, run_uuid, about)
            if outcome is not None:
                yield outcome
        if progress is not None and runs:
            progress(mlflow.file_name, len(runs), len(runs))


def _listed(
    mlflow: MLflowDatabase, experiments: str | Iterable[str] | None, deleted: bool
) -> tuple[dict[Any, dict[str, Any]], list[Any]]:
    """Return what is known of each experiment, and the runs that are meant, oldest first."""
    with mlflow.snapshot() as snapshot:
        about = experiments_of(snapshot)
        rows = snapshot.rows("runs", *_LISTED)  # of which there may be very many
    for row in rows:
        # An experiment that somebody deleted by hand has runs all the same.
        unknown = {"experiment_id": row["experiment_id"], "name": str(row["experiment_id"])}
        about.setdefault(row["experiment_id"], unknown)
    wanted = _chosen(about, experiments)
    rows = [
        row
        for row in rows
        if row["experiment_id"] in wanted
        and (deleted or not is_deleted(row, about[row["experiment_id"]]))
    ]
    rows.sort(key=lambda row: (row.get("start_time") or 0, str(row["run_uuid"])))
    return about, [row["run_uuid"] for row in rows]


def _chosen(about: dict[Any, dict[str, Any]], experiments: str | Iterable[str] | None) -> set[Any]:
    if experiments is None:
        return set(about)
    names = {experiments} if isinstance(experiments, str) else set(experiments)
    known = {str(one["name"]) for one in about.values()}
    for name in sorted(names - known):
        raise UnknownName("experiment", name, sorted(known))
    return {key for key, one in about.items() if one["name"] in names}


@primary_only()
def _imported(
    db: TrainingDB, mlflow: MLflowDatabase, run_uuid: Any, about: dict[Any, dict[str, Any]]
) -> ImportOutcome | None:
    """Import one run; ``None`` where it is gone by now."""
    with mlflow.snapshot() as snapshot:
        found = snapshot.rows("runs", run_uuid=run_uuid)
        if not found:
            return None
        points = read_points(mlflow, snapshot, run_uuid)
        captured = captured_run(snapshot, found[0], about[found[0]["experiment_id"]], points)
        # Counted by the source itself, not from what was read of it.
        counted = snapshot.counts("metrics", "key", run_uuid=run_uuid)
    counts = _by_name(points, counted)
    try:
        store, decision = _stored(db, captured, points, mlflow.file_name)
    except (InvalidInput, Conflict) as error:
        return ImportOutcome(
            file=mlflow.file_name, source="mlflow", run_id=captured.source_id, error=str(error)
        )
    store.verify(counts)
    outcome = store.outcome(points.row_count)
    if decision:
        outcome.decision = "; ".join(filter(None, (outcome.decision, decision)))
    return outcome


def _by_name(points: Points, counted: dict[Any, int]) -> dict[str, int]:
    """Return what the source counted under our names, with the columns that each row has."""
    names = dict(zip(points.keys, points.names, strict=True))
    found: Counter[str] = Counter()
    for key, count in counted.items():
        found[names.get(str(key), str(key))] += count
    return points.counts() | found


def _stored(
    db: TrainingDB, captured: CapturedRun, points: Points, file: str
) -> tuple[RunStore, str | None]:
    """Store a run, and say what was decided about its history."""
    captured.details["rows_digest"] = points.digest(points.row_count)
    store = RunStore(db, captured, file=file)
    before = store.note.data if store.note.is_whole else None
    change = _change(store, points, before)
    # All or nothing where rows are replaced, for those that go first are good data too.
    with db.transaction() if change == _REPLACED else nullcontext():
        if change == _REPLACED:
            store.forget()
        if change == _SHRUNK:
            captured.details["rows_digest"] = (before or {}).get("rows_digest")
        else:
            for batch in points.batches(store.first_row):
                store.write(batch)
        _finish(db, store, captured, points, before)
    return store, change


def _change(store: RunStore, points: Points, before: dict[str, Any] | None) -> str | None:
    """Say what happened to the source other than that rows were added at its end."""
    if not store.first_row:
        return None
    # Rows may become fewer, where points came to share them; points may not.
    counts = store.verify(points.counts()).keys
    if any(one.database > one.source for one in counts if one.key not in _AXES):
        return _SHRUNK
    is_same = before is not None and before.get("rows_digest") == points.digest(store.first_row)
    return None if is_same and store.is_intact else _REPLACED


def _finish(
    db: TrainingDB,
    store: RunStore,
    captured: CapturedRun,
    points: Points,
    before: dict[str, Any] | None,
) -> None:
    with db.transaction():
        store.finish(captured, left_out=_left_out(captured))
        _note_sign_of_life(store, captured, points)
        _follow_trash(db, store, captured, before)


def _left_out(captured: CapturedRun) -> dict[str, int]:
    traces = captured.details.get("traces")
    return {"traces": traces} if traces else {}


def _note_sign_of_life(store: RunStore, captured: CapturedRun, points: Points) -> None:
    """Let a run that has no end be shown as what it is: MLflow does not notice a death."""
    if captured.status.ended:
        return
    last = moment(int(points.milliseconds.max())) if len(points) else None
    for sign in (captured.started_at, last):
        store.heard_of(sign)


def _follow_trash(
    db: TrainingDB, store: RunStore, captured: CapturedRun, before: dict[str, Any] | None
) -> None:
    """Throw away what MLflow threw away, and bring back what it brought back, but each once."""
    was_deleted = bool(before and before.get("is_deleted"))
    if captured.is_deleted and not was_deleted:
        db.runs.delete(store.run_id)
    elif was_deleted and not captured.is_deleted and db.runs.restore(store.run_id):
        store.decision = "MLflow took it out of its trash, so it was taken out of ours"
