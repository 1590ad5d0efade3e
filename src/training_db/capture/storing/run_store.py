"""RunStore: what a source tells of one run, brought into the database and compared with it."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.capture.storing.facts import message_of, noted, shown, store_facts
from training_db.capture.storing.known_cells import last_rows_agree, without_known
from training_db.capture.storing.matching import Match, match, parent_run
from training_db.capture.storing.notes import ImportNote, import_notes, write_note
from training_db.capture.storing.outcome import Comparison, ImportOutcome
from training_db.capture.storing.storable import storable_document, storable_run, storable_text
from training_db.errors import InvalidValue, RunExists
from training_db.models.run import RunStatus
from training_db.recording.leftover import sync
from training_db.segments import Column, narrowed
from training_db.timestamps import now, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from training_db.capture.captured import CapturedRun, RowBatch
    from training_db.database import TrainingDB

_ATTEMPTS = 20  # each that fails is another import that went on


class RunStore:
    """Takes one run, as one source knows it, into the database.

    The run is found or made at once; its rows follow by :meth:`write`, and the rest by
    :meth:`finish`. Each is a transaction of its own, and all of it may be done again: what is
    there already stays as it is.

    Args:
        db: The database.
        captured: What the source says of the run so far: at least which one it is.
        file: The name of the file, or of the run at its server, as people know it.

    Attributes:
        run_id: The run in the database.
        writer: The writer of its rows.
        decision: What was decided about it, in words, where there was a choice.
        first_row: How many rows of this source the database had when this began.
        new_rows: How many rows were added since, of which any cell was stored.
        is_intact: Whether the database has all that the last import of this source left there.
            Where it has, and the source tells of other rows, the source is another copy.
        note: What is noted about its imports, as it was when this last looked.

    Example:
        >>> from training_db.capture.captured import CapturedRun, RowBatch
        >>> from training_db.segments import column
        >>> db = getfixture("example_db")
        >>> run = CapturedRun("wandb-offline", "3ojed7lz", 11, "3ojed7lz", config={"lr": 0.1})
        >>> store = RunStore(db, run)
        >>> store.write(RowBatch({"loss": column([2.0, 0.5])}, (0, 2)))
        >>> store.finish(run)
        >>> store.verify({"loss": 2}).is_equal
        True
        >>> RunStore(db, run).first_row
        2
    """

    def __init__(self, db: TrainingDB, captured: CapturedRun, file: str | None = None) -> None:
        self._db, self._captured = db, captured
        self._began = time.monotonic()
        self._others: tuple[frozenset[int], frozenset[int]] = frozenset(), frozenset()
        self._own_damage: list[str] = []
        self._damage: list[str] = []
        self._left_out: dict[str, int] = {}
        self._counts: Mapping[str, int] = {}
        self._comparison: Comparison | None = None
        self.file = storable_text(file or captured.source_id, "the file", []) or "(empty)"
        self.writer = captured.writer
        self.new_rows = 0
        self.note = ImportNote(self.writer, {})
        found = self._opened(storable_run(captured, []))
        self.run_id, self.decision = found.run_id, found.decision
        sync(db, run_id=self.run_id)  # what a mirror that was killed has left on this machine

    @property
    def rows(self) -> int:
        """How many rows of this source the database has now."""
        return self._db.history.progress(self.run_id, self.writer)

    def write(self, batch: RowBatch) -> None:
        """Store rows, but for those that are there.

        Args:
            batch: Rows of this writer, which go on from what is stored or begin before its end.
        """
        first, stop = batch.rows
        if stop <= self.first_row:
            return
        with self._db.transaction():
            stored = self._db.history.hold(self.run_id, self.writer)
            if stop <= stored:
                return
            first = max(first, stored)
            new = {name: cells.from_row(first) for name, cells in batch.columns.items()}
            columns, known = self._without_known(new)
            self._write(columns, (first, stop))
            if known:
                self._note_known(known)
        self.new_rows += _count_rows(columns)

    def agrees_with(self, batch: RowBatch) -> bool:
        """Tell whether the last row that is stored stands in the batch with the same number.

        Where it does not, another copy of the source was stored, which had lost rows.

        Args:
            batch: Rows of this writer.
        """
        stored = self.first_row
        if not batch.rows[0] < stored <= batch.rows[1]:
            return True
        return last_rows_agree(self._db, self.run_id, self.writer, batch.columns, stored)

    def forget(self) -> int:
        """Delete the rows of this source, to write them anew.

        Returns:
            How many cells there were.
        """
        with self._db.transaction():
            cells = self._db.history.forget_writer(self.run_id, self.writer)
            self._read_note()
            self._forget_note(self.run_id)
        self.first_row, self.new_rows, self.is_intact = 0, 0, True
        return cells

    def finish(
        self,
        captured: CapturedRun,
        damage: Sequence[str] = (),
        left_out: Mapping[str, int] | None = None,
    ) -> None:
        """Store what the source says of the run besides its rows; again and again, if it grows.

        Args:
            captured: All that is known of it now.
            damage: What is damaged in the source, in words.
            left_out: What is not kept, by kind.
        """
        self._own_damage = []
        clean = storable_run(captured, self._own_damage)
        self._captured, self._damage = clean, [*damage]
        self._left_out = {} if left_out is None else dict(left_out)
        with self._db.transaction():
            rows = self._db.history.hold(self.run_id, self.writer)
            notes = self._read_note()
            known = self.note.data
            clean.parent = parent_run(self._db, clean)
            stored = self._db.history.counts(self.run_id, [self.writer])
            said = [*self._damage, *self._own_damage]
            note = noted(clean, known, self.file, rows, stored, said, self._left_out)
            if not self.is_intact:
                note["stored"] = known.get("stored")  # so that it stays known
            if known.get("facts") != note["facts"]:
                has_recorders = not self._writers().issubset(notes)
                store_facts(self._db, self.run_id, clean, note, notes, has_recorders=has_recorders)

    def heard_of(self, moment: datetime | None) -> None:
        """Note a sign of life, so that it shows when nothing more is heard of the run.

        Args:
            moment: When the source saw the run alive; one in the future says nothing.
        """
        if moment is None or moment > now():
            return
        heard = self._db.runs.get(self.run_id)["heartbeat_at"]
        if heard is None or parse_timestamp(heard) < moment:
            self._db.runs.update(self.run_id, heartbeat_at=moment)

    def is_older(self, captured: CapturedRun, rows: int) -> bool:
        """Tell whether the source is a copy from before the one that was imported last.

        Args:
            captured: What the source says.
            rows: How many rows it has.
        """
        if rows != self.first_row:
            return rows < self.first_row
        note = self.note.data
        has_ended = note.get("exit_code") is not None and captured.exit_code is None
        ended = shown(captured.ended_at)
        return has_ended or (ended or "") < (note.get("ended_at") or "")

    def verify(self, counts: Mapping[str, int], rows: int | None = None) -> Comparison:
        """Compare the cells of the source with those that the database has.

        Args:
            counts: The cells of each metric in the source.
            rows: How many rows the source has; where the database has more of this writer, from
                a longer copy, only that many are compared.
        """
        history, own = self._db.history, [self.writer]
        self._read_note()
        known, stored = self.note.already_here, self.rows
        is_shorter = rows is not None and rows < stored
        there = history.counts(self.run_id, own, rows if is_shorter else None)
        if is_shorter and (known or there != counts):
            # A shorter copy that is damaged too: what it has is there, if the other has as much.
            whole = history.counts(self.run_id, own)
            all_of_it = Counter(whole) + Counter(known)
            there = {key: min(counts[key], all_of_it[key]) for key in counts}
        else:
            there = Counter(there) + Counter(known)
        self._counts = counts
        self._comparison = Comparison.of(counts, there)
        return self._comparison

    def outcome(self, rows: int | None = None) -> ImportOutcome:
        """Return what came of it so far.

        Args:
            rows: How many rows the source has; without it, as many as are stored.
        """
        run = self._db.runs.get(self.run_id)
        return ImportOutcome(
            source=self._captured.source,
            file=self.file,
            run_id=self.run_id,
            name=run["run_name"],
            status=run["status"],
            rows=self.rows if rows is None else rows,
            new_rows=self.new_rows,
            keys=sum(count > 0 for count in self._counts.values()),
            values=sum(self._counts.values()),
            already_here=sum(self.note.already_here.values()),
            damage=[*self._damage, *self._own_damage],
            left_out=dict(self._left_out),
            decision=self.decision,
            counts=self._comparison,
            seconds=time.monotonic() - self._began,
        )

    def _read_note(self) -> dict[int, ImportNote]:
        notes = import_notes(self._db, self.run_id)
        self.note = notes.get(self.writer, ImportNote(self.writer, {}))
        return notes

    def _opened(self, captured: CapturedRun) -> Match:
        failures = 0
        while True:
            try:
                with self._db.transaction():
                    return self._found_or_made(captured)
            except RunExists:  # another import of the same run was faster
                failures += 1
                if failures == _ATTEMPTS:
                    raise

    def _found_or_made(self, captured: CapturedRun) -> Match:
        found = match(self._db, captured)
        if found.is_new:
            self._insert(found.run_id, captured)
            self.first_row, notes = 0, {}
        else:
            self.first_row = self._db.history.hold(found.run_id, self.writer)
            notes = import_notes(self._db, found.run_id)
        self.is_intact = True
        if self.writer in notes:
            self.note = notes[self.writer]
            if not self.first_row and self.note.already_here:
                self._forget_note(found.run_id)  # somebody deleted the history
            elif self.first_row and self.note.is_whole:
                self.is_intact = self._has_what_was_noted(found.run_id)
            return found
        data: dict[str, Any] = {
            "source": captured.source,
            "file": self.file,
            "started_at": shown(captured.started_at),
            "is_worker": captured.is_worker,
        }
        if found.decision is not None:
            data["decision"] = found.decision
        if found.is_part:
            data["is_part"] = True
        self._write_note(found.run_id, data)
        return found

    def _insert(self, run_id: str, captured: CapturedRun) -> None:
        is_running = captured.status is RunStatus.RUNNING and not captured.is_worker
        moment = {"created_at": captured.started_at, "started_at": captured.started_at}
        self._db.runs.insert(
            run_id,
            None if captured.wandb_run_id is None else run_id,
            status=RunStatus.RUNNING if is_running else RunStatus.LAUNCHED,
            **{name: value for name, value in moment.items() if value is not None},
        )

    def _write_note(self, run_id: str, data: dict[str, Any]) -> None:
        write_note(self._db, run_id, self.writer, message_of(data), data)
        self.note = ImportNote(self.writer, data)

    def _forget_note(self, run_id: str) -> None:
        # Without the facts the end of the import is written again.
        gone = ("already_here", "facts")
        data = {name: value for name, value in self.note.data.items() if name not in gone}
        self._write_note(run_id, data)

    def _has_what_was_noted(self, run_id: str) -> bool:
        rows = self.note.data.get("rows")
        stored = self._db.history.counts(
            run_id, [self.writer], None if rows == self.first_row else rows
        )
        return sum(stored.values()) == self.note.data.get("stored")

    def _write(self, columns: Mapping[str, Column], rows: tuple[int, int]) -> None:
        try:
            self._db.history.write(self.run_id, self.writer, columns, rows)
        except InvalidValue:
            # Seldom enough to look at each value only now.
            self._db.history.write(self.run_id, self.writer, _storable(columns), rows)

    def _without_known(
        self, columns: dict[str, Column]
    ) -> tuple[dict[str, Column], dict[str, int]]:
        """Leave out what another source has brought."""
        writers = self._writers()
        if writers != self._others[0]:
            notes = import_notes(self._db, self.run_id)
            source = self._captured.source
            others = (one for one in writers if one not in notes or notes[one].source != source)
            self._others = writers, frozenset(others)
        if not self._others[1]:
            return columns, {}
        return without_known(self._db, self.run_id, columns, self._others[1])

    def _writers(self) -> frozenset[int]:
        """Return the other writers of the run."""
        return frozenset(self._db.history.writers(self.run_id)) - {self.writer}

    def _note_known(self, cells: Mapping[str, int]) -> None:
        self._read_note()
        known = Counter(self.note.already_here) + Counter(cells)
        self._write_note(self.run_id, self.note.data | {"already_here": dict(known)})


def _count_rows(columns: Mapping[str, Column]) -> int:
    filled = [cells.rows for cells in columns.values() if len(cells)]
    if not filled:
        return 0
    first = min(int(rows[0]) for rows in filled)
    has_cell = np.zeros(max(int(rows[-1]) for rows in filled) - first + 1, dtype=np.bool_)
    for rows in filled:
        has_cell[rows - first] = True
    return int(np.count_nonzero(has_cell))


def _storable(columns: Mapping[str, Column]) -> dict[str, Column]:
    """Return columns whose values both backends can hold."""
    found = {}
    for name, cells in columns.items():
        values = cells.values
        if values.dtype == object:
            values = narrowed([storable_document(one, name, []) for one in values.tolist()])
        found[name] = Column(cells.rows, values)
    return found
