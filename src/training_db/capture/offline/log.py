"""A W&B log, read as it is: rows in batches, and the run that they belong to."""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_db.capture.captured import CapturedRun, RowBatch, parent_of
from training_db.capture.key_names import KeyNames
from training_db.capture.offline.blocks import BlockReader
from training_db.capture.offline.decoding import RowDecoder
from training_db.capture.offline.ending import add_ending, is_recent, latest_time, was_just_written
from training_db.capture.offline.facts import LogFacts
from training_db.capture.offline.folder import add_from_folder
from training_db.capture.offline.machine import without_person
from training_db.capture.offline.records import decoded
from training_db.repository.writers import known_writer
from training_db.segments import SEGMENT_CELLS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from os import PathLike

    from numpy.typing import NDArray

BATCH_CELLS = 1_000_000
BATCH_BYTES = 32 * 1024**2


class WandbLog:
    r"""One file ``run-ID.wandb``, complete or not, sound or not, of any version of the client.

    Args:
        path: The file.
        batch_cells: About how many cells a batch may have.
        first_row: Rows before this one are counted and summarised, but not given out.
        names: The names of the run's metrics, where some are given away already.

    Attributes:
        path: The file.

    Example:
        >>> from training_db.capture.offline.blocks import BlockWriter
        >>> path = getfixture("tmp_path") / "run-1a2b.wandb"
        >>> with path.open("wb") as file:
        ...     BlockWriter(file).write(b"\x12\x0f\x0a\x0d\x12\x04loss\x82\x01\x040.25")
        >>> log = WandbLog(path)
        >>> [batch.columns["loss"].values.tolist() for batch in log.batches()], log.counts
        ([[0.25]], {'loss': 1})
    """

    def __init__(
        self,
        path: str | PathLike[str],
        batch_cells: int = BATCH_CELLS,
        first_row: int = 0,
        names: KeyNames | None = None,
    ) -> None:
        self.path = Path(path)
        self._batch_cells, self._first_row = batch_cells, first_row
        self._reader = BlockReader(self.path)
        self._names = names or KeyNames()
        self._facts = LogFacts(self.path.resolve().parent / "files")
        self._decoder = RowDecoder(self._names, self._remember)
        self._records = 0
        self._unreadable: list[str] = []
        self._first_record = b""

    @property
    def rows(self) -> int:
        """How many rows the file has so far."""
        return self._decoder.rows

    @property
    def counts(self) -> dict[str, int]:
        """For each metric how many cells the file has so far, in all its rows."""
        return dict(self._decoder.counts)

    @property
    def left_out(self) -> dict[str, int]:
        """How many records are not kept, by kind."""
        return self._facts.left_out

    @property
    def position(self) -> int:
        """How many bytes of the file were read."""
        return self._reader.position

    @property
    def is_cut(self) -> bool:
        """Whether the file ends inside a record, as far as it was read."""
        return self._reader.is_cut

    @property
    def damage(self) -> list[str]:
        """All that could not be read, in words; what may still be written is none."""
        blocks = [str(one) for one in self._reader.damage]
        if self.is_cut and self.is_live:
            blocks.pop()
        documents = [*self._facts.config.damage, *self._facts.summary.damage]
        return blocks + self._unreadable + self._decoder.damage + documents

    def batches(self) -> Iterator[RowBatch]:
        """Read on from where the last call ended, up to the present end of the file.

        Raises:
            UnreadableSource: The file cannot be opened, or is no log of W&B.
            MissingExtra: The package that reads the records is not installed.
        """
        decoder, facts = self._decoder, self._facts
        for payload in self._reader.records():
            order = self._records
            self._records += 1
            self._first_record = self._first_record or payload
            record = decoded("Record", payload)
            if record is None:
                self._unreadable.append(f"byte {self._reader.offset:,}: a record is no protobuf")
                continue
            kind = record.WhichOneof("kind")
            if kind == "history":
                history = record.history
                step = history.step.num if history.HasField("step") else None
                decoder.skips_nulls = facts.is_core
                decoder.add(list(history.item), step, order)
                decoder.size += len(payload)
                if self._is_full():
                    yield from self._taken()
            elif kind:
                if kind == "run" and facts.identity is None:
                    facts.identity = _digest(payload)
                facts.take(kind, record, order)
        yield from self._taken()

    def _is_full(self) -> bool:
        decoder = self._decoder
        if decoder.cells >= self._batch_cells or decoder.size >= BATCH_BYTES:
            return True
        # Whole segments, if there are enough of them to be worth a transaction.
        return decoder.rows % SEGMENT_CELLS == 0 and 8 * decoder.cells >= self._batch_cells

    def _taken(self) -> Iterator[RowBatch]:
        batch = self._decoder.take()
        first, stop = batch.rows
        if first < self._first_row:
            first = min(self._first_row, stop)
            columns = {name: cells.from_row(first) for name, cells in batch.columns.items()}
            there = {name: cells for name, cells in columns.items() if len(cells)}
            batch = RowBatch(there, (first, stop))
        if first < stop:
            yield batch

    def _remember(
        self, path: tuple[str, ...], values: NDArray[Any], raw: bytes, order: int
    ) -> None:
        if self._facts.rules.keeps_last(path):
            self._facts.summary.put(path, raw, order)
        else:
            self._facts.rules.observe(path, values)

    @property
    def is_live(self) -> bool:
        """Whether the run seems to go on: it has not said that it ended, and was here just now."""
        if self._facts.exit_code is not None or not was_just_written(self.path):
            return False
        seen = self.last_seen  # a log that has just begun tells no time yet
        return seen is None or is_recent(seen)

    @property
    def last_seen(self) -> datetime | None:
        """The latest time in the file."""
        return latest_time(self._facts.last_seen, self._facts.summary.value())

    @property
    def run(self) -> CapturedRun | None:
        """The run, as far as it was read; ``None`` where nothing was said of it yet."""
        facts = self._facts
        if facts.identity is None and not self.rows:
            return None
        for path, values in facts.rules.summaries():
            for kind, value in values.items():  # before all that the file says itself
                facts.summary.put((*path, kind), json.dumps(value).encode(), -1)
        config, summary = facts.config.value(), facts.summary.value()
        details = dict(facts.details)
        client = config.pop("_wandb", None)
        if client:
            details["wandb"] = without_person(client)
            if isinstance(client, dict) and "cli_version" in client:
                details.setdefault("client", client["cli_version"])
        if facts.rules.defined:
            details["defined_metrics"] = facts.rules.defined
        source_id = facts.fields.get("wandb_run_id") or self.path.stem.removeprefix("run-")
        fields: dict[str, Any] = {"wandb_run_id": source_id} | facts.fields
        writer = self._writer(source_id)
        run = CapturedRun(
            source="wandb-export" if facts.is_export else "wandb-offline",
            source_id=source_id,
            writer=writer,
            **fields,
            parent=parent_of(facts.fields.get("tags", ()), config),
            started_at=facts.started_at,
            exit_code=facts.exit_code,
            config=config,
            summary=summary,
            metric_paths=self._names.paths,
            events=facts.events(writer),
            artifacts=facts.artifacts(self._decoder.media),
            details=details,
            is_worker=facts.exit_code is None
            and (facts.is_shared or (self.rows > 0 and not self._decoder.has_steps)),
        )
        add_ending(run, facts, is_live=self.is_live)
        add_from_folder(run, self.path.parent / "files")
        return run

    def _writer(self, source_id: str) -> int:
        identity = self._facts.identity
        if self._facts.is_export:  # which is told from others by what it is an export of
            identity = self._facts.details.get("environment", {}).get("writer_id", identity)
        if identity is None:
            identity = f"{source_id}:{_digest(self._first_record)}"
        began = self._facts.started_at
        milliseconds = int(began.timestamp() * 1000) if began else 0
        return known_writer(milliseconds, identity)


def _digest(record: bytes) -> str:
    return blake2b(record, digest_size=16).hexdigest()
