"""What a W&B log says of its run besides the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training_db.capture.captured import CapturedArtifact, CapturedEvent, alert_message
from training_db.capture.offline.json_values import value_of
from training_db.capture.offline.machine import machine, without_person, without_user
from training_db.capture.offline.records import text
from training_db.capture.offline.replay import Document
from training_db.capture.offline.summary_rules import SummaryRules
from training_db.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

EXPORT_BUILD = "training-db"
"""What stands for the build of the client in logs that this library wrote."""

_FILE_TYPES = {0: "file", 1: "wandb-file", 2: "media", 3: "artifact-file"}
_LEFT_OUT = {
    "stats": "system metrics",
    "output": "console lines",
    "output_raw": "console lines",
    "output_logger": "console lines",
}


class LogFacts:
    """Collects what the records of a log say, those of rows and summaries aside.

    Args:
        files: The folder that paths of saved files are relative to.

    Attributes:
        config: The config.
        summary: The summary.
        rules: What is summarised in another way than by the last value.
        fields: Fields of :class:`~training_db.capture.captured.CapturedRun`, by name.
        details: What has no field of its own.
        left_out: How many records are not kept, by kind.
        exit_code: How the process ended, as far as it says so.
        runtime: For how many seconds it ran, as far as it says so.
        started_at: When it began.
        last_seen: The latest time that any record has.
        is_core: Whether the client is of 0.18 or later.
        is_export: Whether this library wrote the log, of a run that it had.
        is_shared: Whether several processes write one run.
        identity: What tells the run from others, once it has begun.
    """

    def __init__(self, files: Path) -> None:
        self.config, self.summary = Document("config"), Document("summary")
        self.rules = SummaryRules()
        self.fields: dict[str, Any] = {}
        self.details: dict[str, Any] = {}
        self.left_out: dict[str, int] = {}
        self.exit_code: int | None = None
        self.runtime: int | None = None
        self.started_at: datetime | None = None
        self.last_seen: datetime | None = None
        self.is_core = self.is_export = self.is_shared = False
        self.identity: str | None = None
        self._files = files
        self._artifacts: dict[str, CapturedArtifact] = {}
        self._happened: list[tuple[str, str, Any, datetime | None]] = []
        self._takers: dict[str, Callable[[Any, int], None]] = {
            "summary": self._take_summary,
            "config": self._take_config,
            "run": self._take_run,
            "exit": self._take_exit,
            "environment": self._take_environment,
            "header": self._take_header,
            "telemetry": self._take_telemetry,
            "metric": self._take_metric,
            "files": self._take_files,
            "artifact": self._take_artifact,
            "use_artifact": self._take_used,
            "alert": self._take_alert,
            "tbrecord": self._take_board,
            "preempting": self._take_preempting,
        }

    def take(self, kind: str, record: Any, order: int) -> None:
        """Take one record.

        Args:
            kind: Which of its fields it has.
            record: Its message.
            order: Its place in the file.
        """
        name = _LEFT_OUT.get(kind)
        if name:
            self.left_out[name] = self.left_out.get(name, 0) + 1
        taker = self._takers.get(kind)
        if taker:
            taker(getattr(record, kind), order)
        elif kind in ("stats", "output", "output_raw"):
            self._see(_moment(getattr(record, kind), "timestamp"))

    def events(self, writer: int) -> list[CapturedEvent]:
        """Return what happened, by keys that are the same each time the log is read."""
        return [
            CapturedEvent(f"{kind}:{writer}:{number}", kind, message, data, moment)
            for number, (kind, message, data, moment) in enumerate(self._happened)
        ]

    def artifacts(self, media: dict[str, dict[str, Any]]) -> list[CapturedArtifact]:
        """Return the files of the run, each once.

        Args:
            media: For each path that rows refer to what they say of it.
        """
        found = dict(self._artifacts)
        for place, about in media.items():
            path = str(self._files / place)
            metadata = {key: value for key, value in about.items() if key != "type"}
            found[path] = CapturedArtifact(str(about["type"]), path, metadata)
        return list(found.values())

    def _see(self, moment: datetime | None) -> None:
        if moment and (self.last_seen is None or moment > self.last_seen):
            self.last_seen = moment

    def _take_summary(self, summary: Any, order: int) -> None:
        self.summary.update(summary.update, order)
        self.summary.remove(summary.remove, order)

    def _take_config(self, config: Any, order: int) -> None:
        self.config.update(config.update, order)
        self.config.remove(config.remove, order)

    def _take_run(self, run: Any, order: int) -> None:
        self._take_config(run.config, order)
        self._take_summary(run.summary, order)
        self._set(
            wandb_run_id=run.run_id, entity=run.entity, project=run.project, name=run.display_name,
            notes=run.notes, group=run.run_group, job_type=run.job_type, sweep=run.sweep_id,
            host=run.host,
        )  # fmt: skip
        self.fields["tags"] = [text(tag) for tag in run.tags]
        self._take_git(run.git)
        self._take_telemetry(run.telemetry, order)
        self.started_at = _moment(run, "start_time") or self.started_at
        self._see(self.started_at)
        self._note(
            starting_step=run.starting_step, resumed=run.resumed, forked=run.forked,
            runtime_before=run.runtime,
        )  # fmt: skip
        if run.HasField("branch_point"):
            point = run.branch_point
            self._note(
                branch_point={"run": text(point.run), "metric": text(point.metric),
                              "value": point.value}
            )  # fmt: skip

    def _take_exit(self, ended: Any, _order: int) -> None:
        self.exit_code, self.runtime = ended.exit_code, ended.runtime

    def _take_environment(self, found: Any, _order: int) -> None:
        if self.started_at is None:
            self.started_at = _moment(found, "started_at")
        if found.host:
            self.fields.setdefault("host", text(found.host))
        self._take_git(found.git)
        known = self.details.setdefault("environment", {})
        known.update(machine(found))
        self._note(python=found.python)

    def _take_git(self, git: Any) -> None:
        self._set(git_commit=git.commit)
        self._note(git_remote=without_user(text(git.remote_url)))

    def _take_header(self, header: Any, _order: int) -> None:
        client, _, build = text(header.version_info.producer).partition("+")
        self.is_core, self.is_export = bool(client), build.startswith(EXPORT_BUILD)
        self._note(client=client)

    def _take_telemetry(self, telemetry: Any, _order: int) -> None:
        self.is_shared = self.is_shared or telemetry.feature.shared_mode
        if telemetry.cli_version:
            self.details.setdefault("client", text(telemetry.cli_version))
        if telemetry.python_version:
            self.details.setdefault("python", text(telemetry.python_version))

    def _take_metric(self, metric: Any, _order: int) -> None:
        self.rules.take(metric)

    def _take_files(self, found: Any, _order: int) -> None:
        for file in found.files:
            path = str(self._files / text(file.path))
            self._artifacts.setdefault(
                path, CapturedArtifact(_FILE_TYPES.get(file.type, "file"), path)
            )

    def _take_artifact(self, found: Any, _order: int) -> None:
        name = text(found.name)
        path = (
            f"wandb-client-artifact://{text(found.client_id)}"
            if found.client_id
            else f"wandb-artifact://{text(found.entity)}/{text(found.project)}/{name}"
        )
        about = {
            "name": name, "digest": text(found.digest), "description": text(found.description),
            "aliases": [text(one) for one in found.aliases],
            "tags": [text(one) for one in found.tags],
            "metadata": value_of(found.metadata)[0] if found.metadata else None,
            "files": [
                {"path": text(one.path), "size": one.size, "digest": text(one.digest)}
                | ({"ref": text(one.ref)} if one.ref else {})
                for one in found.manifest.contents
            ],
        }  # fmt: skip
        self._artifacts[path] = CapturedArtifact(
            text(found.type) or "artifact", path, {key: one for key, one in about.items() if one}
        )

    def _take_used(self, used: Any, _order: int) -> None:
        about = {"id": text(used.id), "name": text(used.name), "type": text(used.type)}
        self.details.setdefault("used_artifacts", []).append(about)

    def _take_alert(self, alert: Any, _order: int) -> None:
        data = {name: text(getattr(alert, name)) for name in ("title", "text", "level")}
        message = alert_message(data["title"], data["text"])
        self._happened.append(("alert", message, data, self.last_seen))

    def _take_preempting(self, _record: Any, _order: int) -> None:
        message = "the machine is about to be taken away"
        self._happened.append(("preempting", message, None, self.last_seen))

    def _take_board(self, board: Any, _order: int) -> None:
        self.details.setdefault("tensorboard", []).append(without_person(text(board.log_dir)))

    def _set(self, **found: bytes) -> None:
        self.fields |= {name: text(value) for name, value in found.items() if value}

    def _note(self, **found: Any) -> None:
        self.details |= {
            name: text(value) if isinstance(value, bytes) else value
            for name, value in found.items()
            if value
        }


def _moment(message: Any, name: str) -> datetime | None:
    if not message.HasField(name):
        return None
    time = getattr(message, name)
    try:
        return parse_timestamp(time.seconds + time.nanos / 1e9)
    except ValueError:
        return None
