"""What is known of a live W&B run besides its rows, in the words of our schema."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from training_db.capture.captured import place_tags
from training_db.capture.live.rows import without_wandb
from training_db.documents import decode, encode
from training_db.errors import InvalidValue
from training_db.timestamps import format_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_ATTEMPTS = 10
_OWN_KEY = "_wandb"  # what W&B keeps for itself in configs and summaries


class MirroredFacts:
    """Tells what became known of a live run since it was asked last.

    Args:
        run: The run.
    """

    def __init__(self, run: Any) -> None:
        self._run = run
        self._fields: dict[str, Any] | None = None
        self._tags: dict[str, str | None] = {}
        self._config: dict[str, str] = {}
        self._summary: dict[str, str] = {}

    def news(self, summary: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what is new, as :func:`training_db.recording.facts.tell` takes it.

        Args:
            summary: The summary; ``None`` where it is not known now.
        """
        found = self._about_the_run() | self._about_tags()
        config = _texts(_items(self._run.config))
        if changed := _changed(config, self._config):
            found["config"] = changed
        self._config |= config
        if summary is not None:
            given = _texts(summary.items())
            changed = _changed(given, self._summary)
            gone = [key for key in self._summary if key not in given]
            if changed or gone:
                found["summary"] = changed
            if gone:
                found["unsummarized"] = gone
            self._summary = given
        return found

    def _setting(self, name: str) -> Any:
        settings = self._run._settings  # .settings copies them all
        return getattr(settings, name, None) or None  # other clients have others

    def _about_the_run(self) -> dict[str, Any]:
        is_disabled, is_offline = self._setting("_noop"), self._setting("_offline")
        fields = {
            "run_name": None if is_disabled else self._setting("run_name"),
            "notes": self._setting("run_notes"),
            "group_name": self._setting("run_group"),
            "host": self._setting("host"),
            "git_commit": self._setting("git_commit"),
            "wandb_url": None if is_disabled or is_offline else self._setting("run_url"),
        }
        if self._fields is None:
            self._fields = fields
            given = {name: value for name, value in fields.items() if value is not None}
            started = datetime.fromtimestamp(self._run.start_time, UTC)
            return {
                # Who inserted the run before may have said more than W&B knows by itself.
                "defaults": given | {"wandb_run_id": self._run.id},
                "started_at": format_timestamp(started),
            }
        before, self._fields = self._fields, fields
        changed = {name: value for name, value in fields.items() if value != before[name]}
        return {"fields": changed} if changed else {}

    def _about_tags(self) -> dict[str, Any]:
        tags: dict[str, str | None] = dict.fromkeys(self._setting("run_tags") or ())
        if not self._setting("_noop"):  # of a disabled run, W&B makes them up
            tags |= place_tags(
                project=self._setting("project"),
                entity=self._setting("entity"),
                job_type=self._setting("run_job_type"),
                sweep=self._setting("sweep_id"),
            )
        before, self._tags = self._tags, tags
        found: dict[str, Any] = {}
        if new := dict(tags.items() - before.items()):
            found["tags"] = new
        if gone := [name for name in before if name not in tags]:
            found["untagged"] = gone
        return found


def summary_of(run: Any) -> dict[str, Any] | None:
    """Return the summary of a live run, or ``None`` where it is not known now.

    Args:
        run: The run; after it was finished, W&B knows only what it read at the end.
    """
    if getattr(run, "_interface", None) is None:
        return _own_part_left_out(without_wandb(dict(run.summary)))
    if getattr(run, "_is_finished", False):
        final = getattr(run, "_final_summary", None)
        if final is None:
            return None
        from wandb.sdk.lib.proto_util import dict_from_proto_list

        return _own_part_left_out(dict_from_proto_list(final.item)) or None
    return _own_part_left_out(run.summary._as_dict())


def _own_part_left_out(document: Mapping[str, Any]) -> dict[str, Any]:
    return {str(key): value for key, value in document.items() if key != _OWN_KEY}


def _items(config: Any) -> list[tuple[str, Any]]:
    """Return the items of a config, its private ones too, which ``config.items()`` leaves out."""
    for _ in range(_ATTEMPTS):
        with suppress(RuntimeError, KeyError):  # the training changed it meanwhile
            return [(key, config[key]) for key in [*config] if key != _OWN_KEY]
    return []


def _texts(items: Iterable[tuple[str, Any]]) -> dict[str, str]:
    """Return the JSON text of each value; what JSON cannot hold is written as W&B does."""
    texts = {}
    for key, value in items:
        try:
            texts[key] = encode(value)  # unlike W&B, it tells NaN from null
        except (InvalidValue, RuntimeError):
            try:
                from wandb.util import json_dumps_safer, json_friendly

                texts[key] = json_dumps_safer(json_friendly(value)[0])
            except (ImportError, TypeError, ValueError, RuntimeError):
                texts[key] = encode(str(value))
    return texts


def _changed(texts: Mapping[str, str], before: Mapping[str, str]) -> dict[str, Any]:
    return {key: decode(text) for key, text in texts.items() if before.get(key) != text}
