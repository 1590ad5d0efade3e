"""Runs written as offline run folders of W&B, which ``wandb sync`` uploads."""

from __future__ import annotations

import os
import shutil
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from training_db.capture.export.facts import facts_of, start_of, summary_of
from training_db.capture.export.files import bring_files, tracked_files, write_metadata
from training_db.capture.export.history import HistoryRecords, Lifetime
from training_db.capture.export.names import check_project, told_apart, wandb_id
from training_db.capture.export.records import PRODUCER, Records
from training_db.capture.offline.blocks import BlockWriter
from training_db.errors import Conflict, InvalidValue, TrainingDBError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from training_db.capture.export.facts import RunFacts
    from training_db.database import TrainingDB

_ORIGINAL_ID = "training_db_run_id"
_HEAD = 200  # bytes of a log within which its first record says who wrote it


class ExportWarning(UserWarning):
    """Something of a run that W&B cannot hold as it is; the rest was exported."""


@dataclass
class Exported:
    """A run that was exported.

    Attributes:
        run_id: Its id in the database.
        wandb_id: Its id at W&B.
        folder: Its folder.
        rows: The rows of its history there.
        values: The values in these rows; their steps do not count.
        faults: What could not be kept as it is, in words.
    """

    run_id: str
    wandb_id: str
    folder: Path
    rows: int = 0
    values: int = 0
    faults: list[str] = field(default_factory=list)


def export_wandb(
    db: TrainingDB,
    run_ids: str | Iterable[str],
    folder: str | os.PathLike[str],
    project: str | None = None,
    entity: str | None = None,
    *,
    force: bool = False,
) -> list[Path]:
    """Write runs as folders that W&B's client takes for its own: ``wandb sync FOLDER/offline-*``.

    Args:
        db: The database.
        run_ids: The runs.
        folder: Where the folders go; it is made if it is not there.
        project: The project they go to; else what their tag ``wandb.project`` says.
        entity: Whose project it is; else what their tag ``wandb.entity`` says.
        force: Replace folders that were exported before.

    Returns:
        For each run its folder ``offline-run-YYYYMMDD_HHMMSS-ID``, by its start in UTC. A folder
        is complete, or it is not there.

    Raises:
        RunNotFound: There is no such run; nothing was written.
        Conflict: A folder is there already; nothing was written.
        InvalidValue: A project that W&B does not take, or a place that cannot be written to.
        MissingExtra: wandb is not installed.

    What W&B cannot hold as it is becomes an :class:`ExportWarning`.

    Example:
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("r1", config={"lr": 0.1}, started_at="2026-01-02 03:04:05")
        >>> _ = db.history.append("r1", {"_timestamp": [1.5, 2.5], "loss": [2.0, 0.5]})
        >>> [path.name for path in export_wandb(db, "r1", getfixture("tmp_path") / "wandb")]
        ['offline-run-20260102_030405-r1']
    """
    folders = []
    for one in exported_runs(db, run_ids, folder, project, entity, force=force):
        for fault in one.faults:
            warnings.warn(f"run {one.run_id!r}: {fault}", ExportWarning, stacklevel=2)
        folders.append(one.folder)
    return folders


def exported_runs(
    db: TrainingDB,
    run_ids: str | Iterable[str],
    folder: str | os.PathLike[str],
    project: str | None = None,
    entity: str | None = None,
    *,
    force: bool = False,
) -> Iterator[Exported]:
    """Export one run after the other, as :func:`export_wandb` does, and say what became of it."""
    if project is not None:
        check_project(project)
    planned = _planned(db, [run_ids] if isinstance(run_ids, str) else run_ids, Path(folder))
    for one in planned:
        _check_place(one.folder, force=force)
    for one in planned:
        facts = facts_of(db, one.run_id, one.wandb_id)
        facts.labels.project = project or facts.labels.project
        facts.labels.entity = entity or facts.labels.entity
        try:
            with _complete_or_absent(one.folder) as unfinished:
                _write(db, one, facts, unfinished)
        except TrainingDBError:  # some of which are OSErrors too
            raise
        except OSError as error:
            raise InvalidValue(
                f"{one.folder} was not written: {error.strerror or error}; choose another folder"
            ) from error
        yield one


def _planned(db: TrainingDB, run_ids: Iterable[str], place: Path) -> list[Exported]:
    planned: dict[str, Exported] = {}
    for run_id in dict.fromkeys(run_ids):
        run = db.runs.get(run_id)
        known = run["wandb_run_id"] or run_id
        name = wandb_id(known)
        if name in planned:
            name = told_apart(name, run_id)
        one = Exported(
            run_id, name, place / f"offline-run-{start_of(db, run_id):%Y%m%d_%H%M%S}-{name}"
        )
        if name != known:
            one.faults.append(
                f"its id became {name!r}, for W&B takes {known!r} for no id or another run has it; "
                f"its config keeps it as {_ORIGINAL_ID}"
            )
        planned[name] = one
    return list(planned.values())


def _check_place(folder: Path, *, force: bool) -> None:
    """Make sure that nothing is replaced but what was exported, and that only when asked to.

    Raises:
        Conflict: Something is there.
    """
    if not os.path.lexists(folder):
        return
    if not force:
        raise Conflict(
            f"{folder} is there already, and nothing was written; export to another folder, or "
            "replace it with --force (in Python force=True)"
        )
    logs = [] if folder.is_symlink() else list(folder.glob("run-*.wandb"))
    if not logs or not all(_is_exported(log) for log in logs):
        raise Conflict(
            f"{folder} is there already, and nothing was written; it was not exported from here, "
            "so it is not replaced; export to another folder"
        )


def _is_exported(log: Path) -> bool:
    with log.open("rb") as file:
        return PRODUCER.encode() in file.read(_HEAD)


def _write(db: TrainingDB, one: Exported, facts: RunFacts, folder: Path) -> None:
    records = Records()
    if one.faults:  # its id is another one there
        facts.config.setdefault(_ORIGINAL_ID, one.run_id)
    ended = None if facts.ended_at is None else facts.ended_at.timestamp()
    lifetime = Lifetime(facts.started_at.timestamp(), ended)
    history = HistoryRecords(db, one.run_id, facts.paths, lifetime)
    names = bring_files(tracked_files(db, one.run_id), folder, one.faults)
    write_metadata(folder, facts.git)
    with (folder / f"run-{one.wandb_id}.wandb").open("xb") as file:
        log = BlockWriter(file)
        log.write(records.header())
        log.write(records.run(facts))
        log.write(records.environment(facts))
        if names:
            log.write(records.files(names))
        for record in history.records(records.number):
            log.write(record)
        log.write(records.summary(*summary_of(facts, history.last)))
        if facts.exit_code is not None:
            log.write(records.exit(facts.exit_code, facts.runtime))
        file.flush()
        os.fsync(file.fileno())
    one.rows, one.values = history.rows, history.values
    one.faults += facts.labels.faults + facts.faults + history.faults


@contextmanager
def _complete_or_absent(folder: Path) -> Iterator[Path]:
    """Yield a folder that takes its name only when the block is done, and that of an older one."""
    mark = uuid4().hex[:8]
    unfinished = folder.with_name(f".{folder.name}.{mark}.partial")
    replaced = folder.with_name(f".{folder.name}.{mark}.replaced")
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        if folder.exists():
            folder.rename(replaced)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        if replaced.exists():
            replaced.rename(folder)
        raise
    shutil.rmtree(replaced, ignore_errors=True)
