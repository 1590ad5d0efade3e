"""What a source says of a run, joined with what the database and other files of the run say."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import blake2b
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from training_db.capture.captured import place_tags
from training_db.capture.storing.known_cells import is_same
from training_db.capture.storing.matching import project_tag
from training_db.documents import decode
from training_db.history_rules import AXES
from training_db.models.run import RunStatus
from training_db.timestamps import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from training_db.capture.captured import CapturedRun
    from training_db.capture.storing.notes import ImportNote

_COLUMNS = {
    "run_name": "name", "notes": "notes", "wandb_url": "url", "group_name": "group",
    "host": "host", "parent_run_id": "parent", "git_branch": "git_branch",
    "git_commit": "git_commit", "git_dirty": "git_dirty",
}  # fmt: skip
_DOCUMENTS = {"config": "config_json", "summary": "final_metrics_json"}
_STEP = AXES["step"][0]
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Merge:
    """One captured run beside what is known already.

    Of several files the one that began last says what the run is now; the others fill what is
    missing. So does a worker of a run that several processes wrote, once the first is here, and the
    summary of a source that breaks off before what was recorded here.

    Args:
        run: The run as it stands in the database.
        notes: What other imports of it noted.
        captured: What this source says.
        has_recorders: Whether somebody logged the run here, live.
        told: What :func:`told` returned when this source was imported before: what it says again
            leaves alone what people changed since.
    """

    def __init__(
        self,
        run: Mapping[str, Any],
        notes: Iterable[ImportNote],
        captured: CapturedRun,
        *,
        has_recorders: bool,
        told: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._told = told
        self._run, self._captured, self._has_recorders = run, captured, has_recorders
        self._others = sorted(
            (note for note in notes if note.writer != captured.writer), key=_other_key
        )
        began = captured.started_at or _LONG_AGO
        self._leading = [note for note in self._others if not note.data.get("is_worker")]
        rivals = self._others if captured.is_worker and not self._leading else self._leading
        self.is_latest = not (captured.is_worker and self._leading) and not any(
            note.source == captured.source and (note.started_at or _LONG_AGO) > began
            for note in rivals
        )

    def changes(self) -> dict[str, Any]:
        """Return the fields of the run that change, as ``db.runs.update`` takes them."""
        found: dict[str, Any] = {}
        for column, name in _COLUMNS.items():
            value, stored = getattr(self._captured, name), self._run[column]
            is_news = self.is_latest and self._told.get(column) != _digest(value)
            if value is not None and value != stored and (is_news or stored is None):
                found[column] = value
        if self._run["wandb_run_id"] is None and self._captured.wandb_run_id is not None:
            found["wandb_run_id"] = self._run["run_id"]
        for name, column in _DOCUMENTS.items():
            stored = _document(self._run[column])
            merged = self._merged(name, stored)
            if not is_same(merged, stored):
                found[name] = merged
        return found | self._lifetime()

    def documents(self) -> dict[str, Any]:
        """Return config and summary as this source has them, where others have others."""
        if not any(note.is_whole for note in self._others):
            return {}
        return {name: getattr(self._captured, name) for name in _DOCUMENTS}

    def documents_of_first(self) -> tuple[ImportNote, dict[str, Any]] | None:
        """Return the note of the import that was alone until now, with its documents."""
        lacking = [note for note in self._others if note.is_whole and "config" not in note.data]
        if len(lacking) != 1:
            return None
        documents = {name: _document(self._run[column]) for name, column in _DOCUMENTS.items()}
        return lacking[0], lacking[0].data | documents

    def tags(self, present: Mapping[str, str | None]) -> dict[str, str | None]:
        """Return the tags that are missing or change, and their values.

        Args:
            present: The tags of the run.
        """
        return {
            name: value
            for name, value in _tags(self._captured).items()
            if self._told.get(f"tag {name}") != _digest(value)
            and (name not in present or (self.is_latest and value not in (None, present[name])))
        }

    def _merged(self, name: str, stored: dict[str, Any]) -> dict[str, Any]:
        captured = self._captured
        own = (_own_key(captured), getattr(captured, name))
        parts = [
            (_other_key(note), note.data[name])
            for note in self._others
            if isinstance(note.data.get(name), dict)
        ]
        merged = dict(stored)
        if name == "summary" and self._is_behind(stored):
            return {**own[1], **merged}
        if len(parts) < len(self._others) and not self.is_latest:
            # What the database has is what the others say: it was theirs alone until now.
            return {**own[1], **merged}
        for _key, document in sorted([*parts, own], key=lambda part: part[0]):
            merged |= document
        return merged

    def _lacks_end(self) -> bool:
        """Tell whether the source does not know how the run ended, and somebody recorded it."""
        ends = (RunStatus.COMPLETED, RunStatus.FAILED)
        return self._has_recorders and self._captured.status not in ends

    def _is_behind(self, stored: Mapping[str, Any]) -> bool:
        """Tell whether the source breaks off before what was recorded here."""
        if not self._lacks_end() or not stored:
            return False
        own, known = self._captured.summary.get(_STEP), stored.get(_STEP)
        return not (isinstance(own, int) and isinstance(known, int) and own >= known)

    def _lifetime(self) -> dict[str, Any]:
        captured, run = self._captured, self._run
        found: dict[str, Any] = {}
        started = captured.started_at
        known = run["started_at"]
        if started is not None and (known is None or parse_timestamp(known) > started):
            found["started_at"] = started
        if self._says_status():
            found |= self._ending()
        elif not captured.is_worker and run["ended_at"] is not None:
            seconds = self._seconds()
            if seconds not in (None, run["duration_seconds"]):
                found["duration_seconds"] = seconds
        return found

    def _ending(self) -> dict[str, Any]:
        captured, run = self._captured, self._run
        wanted: dict[str, Any] = {"status": captured.status.value}
        # An end that nothing tells is not made up, and one that is known stays.
        moment, seconds = captured.ended_at, self._seconds()
        if moment is not None and self._lacks_end():
            moment = max(moment, parse_timestamp(run["ended_at"] or moment))
        if not captured.status.ended:
            moment = seconds = None
        if moment is not None:
            wanted["ended_at"] = format_timestamp(moment)
        elif run["ended_at"] is None or not captured.status.ended:
            wanted["ended_at"] = None
        if seconds is not None or ("ended_at" in wanted and moment is None):
            wanted["duration_seconds"] = seconds
        return wanted if any(run[name] != value for name, value in wanted.items()) else {}

    def _says_status(self) -> bool:
        """Tell whether this source knows best where the run stands."""
        captured = self._captured
        if not self.is_latest:
            return False
        if captured.exit_code is not None:
            return True
        if any(note.data.get("exit_code") is not None for note in self._of_other_sources()):
            return False
        # Without an exit code the status is a guess, of which a recorder knows better.
        is_known = RunStatus(self._run["status"]).ended or (
            self._run["heartbeat_at"] is not None and not self._run["stale"]
        )
        return not (self._has_recorders and is_known)

    def _of_other_sources(self) -> list[ImportNote]:
        return [note for note in self._leading if note.source != self._captured.source]

    def _seconds(self) -> int | None:
        """Return how long the run was at work, in all of its files together."""
        captured = self._captured
        runtimes = [captured.runtime_seconds] + [
            note.data.get("runtime") for note in self._leading if note.source == captured.source
        ]
        known = [float(one) for one in runtimes if isinstance(one, (int, float))]
        if not known or not all(map(_is_time, known)):
            return None
        return max(round(sum(known)), self._run["duration_seconds"] or 0)


def told(captured: CapturedRun) -> dict[str, str]:
    """Return digests of what a source says that people may change in the database.

    Args:
        captured: What the source says.
    """
    columns = {column: getattr(captured, name) for column, name in _COLUMNS.items()}
    found = {column: _digest(value) for column, value in columns.items() if value is not None}
    return found | {f"tag {name}": _digest(value) for name, value in _tags(captured).items()}


def _tags(captured: CapturedRun) -> dict[str, str | None]:
    tags: dict[str, str | None] = dict.fromkeys(captured.tags)
    tags |= captured.tag_values
    if captured.project is not None:
        tags[project_tag(captured.source)] = captured.project
    return tags | place_tags(
        entity=captured.entity, job_type=captured.job_type, sweep=captured.sweep
    )


def _digest(value: object) -> str:
    return blake2b(repr(value).encode(errors="replace"), digest_size=6).hexdigest()


def _is_time(seconds: float) -> bool:
    return 0 <= seconds < 2**53


def _own_key(captured: CapturedRun) -> tuple[bool, datetime, int]:
    return not captured.is_worker, captured.started_at or _LONG_AGO, captured.writer


def _other_key(note: ImportNote) -> tuple[bool, datetime, int]:
    return not note.data.get("is_worker"), note.started_at or _LONG_AGO, note.writer


def _document(text: str | None) -> dict[str, Any]:
    found = decode(text) if text else {}
    return found if isinstance(found, dict) else {}
