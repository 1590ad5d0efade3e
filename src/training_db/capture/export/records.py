"""What stands around the history in W&B's log: header, run, summary and exit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from training_db.capture.export.items import json_text
from training_db.capture.offline.facts import EXPORT_BUILD
from training_db.errors import MissingExtra

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from training_db.capture.export.facts import RunFacts

PRODUCER = f"+{EXPORT_BUILD}"
"""What tells a log that was exported from one that the client wrote."""

_OLDEST_READER = "0.70.0"  # as the client writes it


class Records:
    """Makes the records of one log, numbered as they come.

    Raises:
        MissingExtra: wandb is not installed.
    """

    def __init__(self) -> None:
        try:
            import wandb
            from wandb.proto import wandb_internal_pb2
        except ImportError:
            raise MissingExtra(
                "an export to W&B needs wandb; run: pip install 'training-db[wandb]'"
            ) from None
        self._version: str = wandb.__version__
        self._protocol: Any = wandb_internal_pb2
        self._count = 0

    def number(self) -> int:
        """Return the number of the next record: 1, 2, 3 ..."""
        self._count += 1
        return self._count

    def header(self) -> bytes:
        """Return what a log begins with."""
        record = self._record()
        record.header.version_info.producer = self._version + PRODUCER
        record.header.version_info.min_consumer = _OLDEST_READER
        return self._bytes(record)

    def run(self, facts: RunFacts) -> bytes:
        """Return the record that says what the run is."""
        record = self._record()
        run, labels = record.run, facts.labels
        run.run_id, run.display_name, run.notes = facts.id, facts.name, facts.notes
        run.project, run.entity = labels.project, labels.entity
        run.run_group, run.job_type, run.sweep_id = facts.group, labels.job_type, labels.sweep
        run.tags.extend(labels.tags)
        run.host = facts.host
        run.start_time.FromDatetime(facts.started_at)
        run.git.commit = facts.git.get("commit", "")
        run.telemetry.cli_version = self._version
        run.telemetry.feature.offline = True
        for key, value in facts.config.items():
            run.config.update.add(key=key, value_json=json_text(value).decode())
        return self._bytes(record)

    def environment(self, facts: RunFacts) -> bytes:
        """Return the record that says where the run ran."""
        record = self._record()
        record.environment.writer_id = facts.writer
        record.environment.host = facts.host
        record.environment.started_at.FromDatetime(facts.started_at)
        record.environment.git.commit = facts.git.get("commit", "")
        return self._bytes(record)

    def files(self, names: Iterable[str]) -> bytes:
        """Return the record that says which files of the run folder are to be uploaded."""
        record = self._record()
        for name in names:
            record.files.files.add(path=name)
        return self._bytes(record)

    def summary(self, values: Mapping[str, Any], removed: Iterable[str]) -> bytes:
        """Return the record of the final metrics.

        Args:
            values: The metrics.
            removed: Keys of the history that are none of them.
        """
        record = self._record()
        record.summary.SetInParent()  # of a record of no kind, `wandb sync` crashes
        for key, value in values.items():
            record.summary.update.add(key=key, value_json=json_text(value).decode())
        for key in removed:
            record.summary.remove.add(key=key)
        return self._bytes(record)

    def exit(self, code: int, runtime: float | None) -> bytes:
        """Return the record of the end of the process.

        Args:
            code: Its exit code.
            runtime: How long it ran, in seconds.
        """
        record = self._record()
        record.exit.exit_code = code
        record.exit.runtime = min(max(math.floor(runtime or 0), 0), 2**31 - 1)
        return self._bytes(record)

    def _record(self) -> Any:
        return self._protocol.Record(num=self.number())

    def _bytes(self, record: Any) -> bytes:
        found: bytes = record.SerializeToString()
        return found
