"""The W&B run of a context: started when it is needed, and never in the way of a training."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from functools import partial
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_db.capture.context.rows import OpenRow
from training_db.capture.export.names import tag_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from training_db.recording.complaints import Complaints

INSTALL = "pip install 'training-db[wandb]'"
_PATIENCE = 30.0
"""Seconds that a server has to answer before the run goes on offline; W&B itself waits 90."""
_OPTIONS = ("project", "entity", "name", "notes", "group", "job_type", "dir", "settings", "resume")


class WandBSide:
    """What a context does at W&B.

    Nothing here raises; where W&B is not installed or cannot start, nothing happens here at all.

    Args:
        options: What ``wandb.init`` takes.
        complaints: Takes what is wrong.
        on_start: Told of the run once it has started.

    Attributes:
        run: The run of W&B, once it has started.
        options: What ``wandb.init`` takes, or took.
    """

    def __init__(
        self, options: dict[str, Any], complaints: Complaints, on_start: Callable[[Any], None]
    ) -> None:
        self.run: Any = None
        self.options = options
        self._complaints, self._on_start = complaints, on_start
        self._row = OpenRow()
        self._defined: set[str] = set()
        self._is_off = False
        self._process = os.getpid()

    def start(self, job_type: str | None = None) -> Any:
        """Start the run, if that is still to be done, and return it.

        Args:
            job_type: What the run does, where nobody said so before; without one, the name of
                the program.
        """
        if self._process != os.getpid():
            self._complaints.about(
                "W&B in a fork",
                "W&B drops rows where a forked process logs to the run of its parent, so what is "
                "logged here goes to the database only; start the process anew, and let it load "
                "the context from its file",
            )
            return None
        if self.run is not None or self._is_off:
            return self.run
        self._is_off = True  # unless it works
        self._name_stage(job_type)
        wandb = self._wandb()
        run = None if wandb is None else self._init(wandb)
        if run is not None:
            self.run, self._is_off = run, False
            self._do("start", self._on_start)
        return self.run

    def log(self, values: Mapping[str, Any], stage: str | None = None, step: Any = None) -> None:
        """Log values at a step of a stage.

        Args:
            values: The values by their full names.
            stage: The stage; ``None`` for values without a step.
            step: Its step, of which W&B makes the axis ``stage/step``.
        """
        run = self.start(stage)
        if run is None:
            return
        try:
            self._log(run, dict(values), stage, step)
        except Exception as error:  # noqa: BLE001 - a training does not end for its log
            self._about("values", error)

    def as_stored(self, media: Any) -> dict[str, Any]:
        """Return what W&B stores in a row for a medium that was logged."""
        try:
            return dict(media.to_json(self.run))
        except Exception:  # noqa: BLE001 - what has a file needs a run that keeps files
            return {"_type": media._log_type}

    def update_config(self, values: Mapping[str, Any]) -> None:
        """Set keys of the config; before the run starts, they are what it starts with."""
        if self.run is None:
            self.options["config"] = {**self.options.get("config", {}), **values}
            return
        self._do("config", lambda run: run.config.update(dict(values), allow_val_change=True))

    def summarize(self, values: Mapping[str, Any], job_type: str | None = None) -> None:
        """Set keys of the summary."""
        self.start(job_type)
        self._do("summary", lambda run: run.summary.update(dict(values)))

    def table(self, name: str, columns: list[str], rows: list[list[Any]]) -> str | None:
        """Log a table; return the path of the file that W&B keeps of it."""
        run = self.start(_stage_of(name))
        if run is None:
            return None
        try:
            made = _table(columns, rows)
            self._log(run, {name: made}, None, None)
            return stored_path(made)
        except Exception as error:  # noqa: BLE001 - as for values
            self._about("tables", error)
            return None

    def image(
        self, name: str, image: Any, caption: str | None, stage: str | None, step: Any
    ) -> str | None:
        """Log an image; return the path of the file that W&B keeps of it."""
        run = self.start(stage or _stage_of(name))
        if run is None:
            return None
        if importlib.util.find_spec("PIL") is None:
            self._complaints.about(
                "W&B images",
                "W&B takes no images without Pillow, so they go to the database only; "
                "to have them: pip install pillow",
            )
            return None
        try:
            import wandb

            given = os.fspath(image) if isinstance(image, os.PathLike) else image
            made = wandb.Image(given, caption=caption)
            self._log(run, {name: made}, stage, step)
            return stored_path(made)
        except Exception as error:  # noqa: BLE001 - as for values
            self._about("images", error)
            return None

    def save(self, path: Path) -> None:
        """Keep a file, or those of a folder."""
        self.start()
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                self._do("files", partial(_save, path=file, base_path=path.parent))

    def alert(self, title: str, text: str, level: str) -> None:
        """Send an alert."""
        self.start()
        self._do("alerts", lambda run: run.alert(title, text, level=level))

    def finish(self, exit_code: int) -> None:
        """End the run, if it was started."""
        self._do("finish", lambda run: run.finish(exit_code=exit_code))

    # What follows may raise.

    def _log(self, run: Any, values: dict[str, Any], stage: str | None, step: Any) -> None:
        axis = f"{stage}/step" if stage else "step"
        lowest = getattr(run, "_local_step", 0)  # somebody may log to the same run by himself
        if stage is None:
            number = self._row.place(values, lowest=lowest)
        elif axis in values:
            # A metric that has the name of the axis stands in a row where nobody uses the axis.
            number = self._row.place(values, stage, object(), lowest)
        else:
            self._define(run, axis, [f"{stage}/*"] if stage else values)
            number = self._row.place(values, stage, step, lowest)
            values[axis] = step
        run.log(values, step=number)

    def _name_stage(self, job_type: str | None) -> None:
        """Name what a linked run does, by the first that it logs where nobody said it before."""
        options = self.options
        if options.pop("is_linked", False):
            stage = options["job_type"] = options.get("job_type") or job_type or _program()
            options["name"] = f"{options.get('name') or options['group']}-{stage}"

    def _define(self, run: Any, axis: str, metrics: Iterable[str]) -> None:
        for name in metrics:
            if name not in self._defined:
                self._defined.add(name)
                run.define_metric(axis, hidden=True)
                run.define_metric(name, step_metric=axis)

    def _do(self, what: str, act: Callable[[Any], object]) -> None:
        if self.run is None or self._process != os.getpid():
            return
        try:
            act(self.run)
        except Exception as error:  # noqa: BLE001 - as for values
            self._about(what, error)

    def _wandb(self) -> Any:
        try:
            return importlib.import_module("wandb")
        except Exception as error:  # noqa: BLE001 - broken installations raise what they like
            self._complaints.about(
                "W&B",
                f"wandb cannot be imported ({error}), so this run goes to the database only; "
                f"to have it at W&B too: {INSTALL}",
            )
            return None

    def _init(self, wandb: Any) -> Any:
        """Start the run; offline, where the server cannot be reached or nobody is logged in."""
        wanted, run_id = self.options["mode"], self.options["id"]
        # What failed online may hold its id until the end of this process.
        attempts = [("offline", run_id), ("offline", f"{run_id}-offline")]
        for mode, name in attempts if wanted == "offline" else [(wanted, run_id), *attempts]:
            self.options |= {"mode": mode, "id": name}
            try:
                return self._begun(wandb)
            except Exception as error:  # noqa: BLE001 - a training does not end for its log
                if mode == wanted:
                    self._about("start", error, "it is tried offline; `wandb sync` sends that")
                fault = error
        self._about("offline start", fault, "it goes on without W&B")
        return None

    def _begun(self, wandb: Any) -> Any:
        arguments = self._arguments(wandb)
        run = wandb.init(**arguments)
        if run.id != arguments["id"]:  # one that was begun beside another, and is still active
            run = wandb.init(**(arguments | {"reinit": "create_new"}))
        return run

    def _arguments(self, wandb: Any) -> dict[str, Any]:
        given = {name: self.options.get(name) for name in _OPTIONS}
        if self.options["mode"] == "offline":
            given["resume"] = None  # W&B would say that it cannot know
        if wandb.run is not None:
            given["reinit"] = "create_new"  # else it gives us that run
        if given["settings"] is None or isinstance(given["settings"], dict):
            given["settings"] = {"init_timeout": _PATIENCE} | (given["settings"] or {})
        arguments = {name: value for name, value in given.items() if value is not None}
        tags = [tag_of(str(tag)) for tag in self.options.get("tags") or () if str(tag)]
        return arguments | {
            "id": self.options["id"],
            "mode": self.options["mode"],
            "config": self.options.get("config", {}),
            "tags": list(dict.fromkeys(tags)) or None,  # else WANDB_TAGS does not count
        }

    def _about(self, what: str, error: Exception, rest: str = "the database has it") -> None:
        kind = f"W&B {what}"
        self._complaints.about(kind, f"{kind}: {type(error).__name__}: {error}; {rest}")


def is_media(value: Any) -> bool:
    """Tell whether a value is one of W&B's own, such as an image or a table."""
    return hasattr(value, "_log_type")


def stored_path(media: Any) -> str | None:
    """Return the path of the file that W&B keeps of a medium that was logged, if it keeps one."""
    path = getattr(media, "_path", None)  # where it was moved to; there is no public name for it
    return str(path) if path and Path(path).is_file() else None


def _save(run: Any, path: Path, base_path: Path) -> None:
    run.save(escape(str(path)), base_path=base_path, policy="now")


def _table(columns: list[str], rows: list[list[Any]]) -> Any:
    import wandb

    names: list[str | int] = [*columns]
    whole = [[*row, *[None] * (len(columns) - len(row))][: len(columns)] for row in rows]
    try:
        return wandb.Table(columns=names, data=whole)
    except (TypeError, AssertionError, ValueError):
        return wandb.Table(columns=names, data=whole, allow_mixed_types=True)


def _stage_of(name: str) -> str | None:
    return name.rpartition("/")[0] or None


def _program() -> str:
    return Path(sys.argv[0] if sys.argv else "").stem or "worker"
