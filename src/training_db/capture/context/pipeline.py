"""WandBContext: what one pipeline logs, to the database and to W&B."""

from __future__ import annotations

import os
import secrets
import socket
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self

from training_db.capture.captured import alert_message, place_tags
from training_db.capture.context import values as values_of
from training_db.capture.context.images import given_path, keep
from training_db.capture.context.life import Life
from training_db.capture.context.rows import whole
from training_db.capture.context.wandb_side import is_media, stored_path
from training_db.capture.export.names import wandb_id
from training_db.documents import sound
from training_db.errors import UnknownName
from training_db.recording.complaints import shown
from training_db.recording.shutdown import shutdown
from training_db.records import as_mapping
from training_db.repository.base import run_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from sqlalchemy import URL

    from training_db.database import TrainingDB

MODES = ("online", "offline", "disabled")
LEVELS = ("INFO", "WARN", "ERROR")
_OLD_MODES = {"run": "online", "dryrun": "offline"}
_YES = {"1", "true", "yes", "on"}
_SIMPLE = {int, float, bool, str}


def _quiet(method: Callable[..., None]) -> Callable[..., None]:
    """Let a method do nothing when the context is disabled or over, and never raise."""

    @wraps(method)
    def call(self: WandBContext, *args: Any, **kwargs: Any) -> None:
        if self.is_disabled:
            return
        try:
            self.enter()
            with self._lock:
                if self._is_over:
                    self._complaints.about("closed", "what is logged after finish() is not kept")
                else:
                    method(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - a training does not end for its log
            self._complaints.about(
                method.__name__, f"{method.__name__}() failed: {shown(error)}", type(error).__name__
            )
        if shutdown.is_pending:
            shutdown.catch_up()

    return call


class WandBContext(Life):
    """What one pipeline logs: to one run of the database, and to W&B.

    Made by :func:`create_wandb_context`, and in the subprocesses of the pipeline by
    :func:`~training_db.capture.load_wandb_context_from_env`. As a context manager it finishes
    with the block, and says how that ended.

    Nothing here raises or waits for a server: what goes wrong becomes a
    :class:`~training_db.recording.RecorderWarning` and an event of the run. A disabled context
    does nothing at all. Threads may share one.

    Attributes:
        run_id: The run of the database.
        mode: ``online``, ``offline`` or ``disabled``.
        run: The run of W&B, for whatever else one wants of it; ``None`` where there is none.
        is_child: Whether it is one of a subprocess: then the status of the run is not its to set.

    Example:
        >>> db = getfixture("example_db")
        >>> with create_wandb_context({"lr": 0.1}, run_id="p1", mode="disabled", db=db) as ctx:
        ...     ctx.log_training_metric("pretrain", "loss", 0.5, step=1)
        >>> ctx.run is None, db.runs.count()
        (True, 0)
    """

    @_quiet
    def log_training_metric(
        self, stage: str, name: str, value: Any, step: int | None = None
    ) -> None:
        """Log the value that a metric of a stage has at a step.

        It goes into the history of the run as ``stage/name``. At W&B each stage has an axis of its
        own, ``stage/step``, for W&B's own counter only rises, and drops what comes with a lower
        step. Values of one step share a row there, also when they come one by one.

        Args:
            stage: The stage of the pipeline, such as ``"pretrain"``; with an empty one the metric
                has no prefix, and the axis is ``step``.
            name: The metric.
            value: A number, also of numpy and torch, anything JSON can hold, or a medium of W&B, of
                which the database keeps what W&B says of it.
            step: The step of the stage; one more than its last, if nothing is said.
        """
        stage = str(stage or "")
        at = self._step(stage, step)
        key = sound(f"{stage}/{name}" if stage else str(name))
        if is_media(value):
            self._wandb.log({key: value}, stage, at)
            simple = self._wandb.as_stored(value)
            if path := stored_path(value):
                self._tell_of_file(simple["_type"], path, {"name": key, "step": at})
        else:
            # Once and for all: a tensor would keep its whole graph alive until the end.
            simple = value if type(value) in _SIMPLE else values_of.plain(value)
            self._wandb.log({key: simple}, stage, at)
        # With the axis, as W&B's row has it: so that the row is known again when it is imported.
        axis = sound(f"{stage}/step" if stage else "step")
        self.recorder.log({axis: at, key: simple}, step=at)
        self._latest[key] = simple

    @_quiet
    def log_eval_summary(self, metrics: Mapping[str, Any], prefix: str | None = None) -> None:
        """Set what an evaluation came to, in the summary of the run.

        Args:
            metrics: The values by name; nested ones get names joined by ``/``. Numbers, texts and
                lists go into the summary, DataFrames to :meth:`log_table`, images and figures to
                :meth:`log_image`.
            prefix: What stands before the names, as in ``prefix/name``. A key such as
                ``objectives/QED_maximize/raw_mean`` sets the objective too.
        """
        summary: dict[str, Any] = {}
        for key, value in values_of.flat(as_mapping(metrics, "summary"), prefix):
            if values_of.is_frame(value):
                self._keep_table(key, None, value)
            elif values_of.is_image(value):
                self._keep_image(key, value, None, None)
            else:
                summary[key] = values_of.plain(value)
        for key in summary:
            self._latest.pop(key, None)
        self._wandb.summarize(summary, prefix)
        self.tell(summary=summary)

    @_quiet
    def update_config(self, values: Any) -> None:
        """Set keys of the config; those that are not named stay.

        Args:
            values: A mapping, ``Namespace`` or dataclass.
        """
        config = values_of.plain(dict(as_mapping(values, "config")))
        self._wandb.update_config(config)
        self.tell(config=config)

    @_quiet
    def log_table(self, name: str, columns: Iterable[str] | None, data: Any) -> None:
        """Log a table: at W&B as a Table, in the database as an artifact of type ``table``.

        Args:
            name: What it shows.
            columns: The names of its columns; ``None`` for those that the data names itself.
            data: Its rows, a DataFrame, or a Table of W&B. The metadata of the artifact are
                ``name``, ``columns``, ``rows`` (their number) and ``data``.
        """
        self._keep_table(name, columns, data)

    @_quiet
    def log_image(
        self, name: str, image: Any, caption: str | None = None, step: int | None = None
    ) -> None:
        """Log an image: in the database as an artifact of type ``image``, by its path.

        Args:
            name: What it shows, such as ``"eval/samples"``.
            image: A path, an image of PIL or W&B, an array or tensor, or a figure of matplotlib.
            caption: What stands below it.
            step: The step of the stage that the name begins with.
        """
        self._keep_image(name, image, caption, step)

    @_quiet
    def save_file(self, path: str | os.PathLike[str], artifact_type: str = "file") -> None:
        """Keep a file, or all of a folder: at W&B as it is, in the database by its path.

        Args:
            path: The file; a URL goes to the database only.
            artifact_type: What the file is, for the database.
        """
        text = os.fspath(path)
        if "://" not in text:
            text = str(Path(text).expanduser().absolute())
            if Path(text).exists():
                self._wandb.save(Path(text))
            else:
                self._complaints.about(
                    "files", f"there is no file {text} now; only its name is kept", text
                )
        self._tell_of_file(str(artifact_type), text)

    @_quiet
    def alert(self, title: str, text: str = "", level: str = "INFO") -> None:
        """Alert people at W&B, and put an event of kind ``alert`` on the timeline of the run.

        Args:
            title: What it is about, in at most 64 characters.
            text: What happened.
            level: ``INFO``, ``WARN`` or ``ERROR``.
        """
        name = str(getattr(level, "value", level)).upper()
        name = "WARN" if name == "WARNING" else name
        if name not in LEVELS:
            self._complaints.about(
                "levels", f"unknown level {level!r}; valid are: {', '.join(LEVELS)}"
            )
            name = "INFO"
        about = {"title": str(title), "text": str(text), "level": name}
        self.recorder.event("alert", alert_message(about["title"], about["text"]), about)
        self._wandb.alert(str(title), str(text), name)

    def finish(self, exit_code: int | None = None) -> None:
        """Send everything, and say how it ended; nothing is logged after that.

        Args:
            exit_code: 0 or ``None`` if all went well: then the run is ``completed``, else
                ``failed``. That of a subprocess becomes an event, and leaves the status alone.
        """
        self.end(exit_code or 0, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(None, error)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a WandBContext cannot be sent to another process; save it with save_wandb_context(), "
            "and load it there with load_wandb_context_from_env()"
        )

    def __repr__(self) -> str:
        state = "disabled" if self.is_disabled else "finished" if self._is_over else self.mode
        return f"<WandBContext of run {self.run_id!r}: {state}>"

    def _step(self, stage: str, step: Any) -> Any:
        at = None if step is None else whole(step)
        if at is None:
            at = self._steps.get(stage, -1) + 1
        if isinstance(at, int):
            self._steps[stage] = at
        return at

    def _keep_table(self, name: str, columns: Any, data: Any) -> None:
        names, rows = values_of.table(columns, data)
        path = self._wandb.table(name, names, rows)
        about = {"name": name, "columns": names, "rows": len(rows), "data": rows}
        self._tell_of_file("table", path or f"{name}-{values_of.digest(rows)}", about)

    def _keep_image(self, name: str, image: Any, caption: str | None, step: Any) -> None:
        stage = name.rpartition("/")[0] or None
        at = None if step is None or stage is None else self._step(stage, step)
        path = self._wandb.image(name, image, caption, stage if at is not None else None, at)
        path = path or given_path(image) or str(keep(image, self.media_folder(), name))
        about = {"name": name, "caption": caption, "step": whole(step)}
        self._tell_of_file("image", path, about)

    def _tell_of_file(self, kind: str, path: str, metadata: Any = None) -> None:
        self.tell(artifacts=[{"type": kind, "path": path, "metadata": metadata}])


def create_wandb_context(
    cfg: Any = None,
    run_id: str | None = None,
    mode: str | None = None,
    *,
    db: TrainingDB | str | os.PathLike[str] | URL | None = None,
    project: str | None = None,
    entity: str | None = None,
    name: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Iterable[str] | None = None,
    notes: str | None = None,
    dir: str | os.PathLike[str] | None = None,  # noqa: A002 - as wandb.init calls it
    settings: Any = None,
) -> WandBContext:
    """Begin a pipeline: one run of the database, mirrored to W&B.

    Args:
        cfg: Its config: a mapping (also of OmegaConf), ``Namespace`` or dataclass. What stands in
            its section ``wandb`` is taken for the arguments below that are not given.
        run_id: Its id in the database, and, as far as W&B takes its characters, there too. A run
            that is there already goes on; one that had ended does so as a further attempt, which
            an event of kind ``wandb`` and a warning say. Without one, ``WANDB_RUN_ID``, or a new
            one.
        mode: ``online``, ``offline``, or ``disabled``: then nothing is logged anywhere. Without
            one, ``WANDB_MODE``, or ``online``. Where W&B cannot be reached, or nobody is logged
            in, it goes on offline; where wandb is not installed, with the database only.
        db: The database, or where it is; ``None`` for what the environment says.
        project: The project at W&B.
        entity: Whose it is.
        name: What people call the run.
        group: The group of the runs of this pipeline at W&B; without one, ``WANDB_RUN_GROUP``, or
            the id of the run.
        job_type: What the parent does in that group.
        tags: Words to be pinned to it.
        notes: What is to be said about it.
        dir: The folder in which W&B makes its own.
        settings: What else ``wandb.init`` takes as settings: a mapping or a ``wandb.Settings``.

    Returns:
        The context; the status of the run follows its life.

    Raises:
        UnknownName: There is no such mode.
        InvalidValue: A config that is no mapping, or a run id that cannot be stored.
        ConfigurationError: A database URL that cannot work.

    Example:
        >>> db = getfixture("example_db")
        >>> ctx = create_wandb_context({"lr": 0.1}, run_id="p1", mode="disabled", db=db)
        >>> ctx
        <WandBContext of run 'p1': disabled>
        >>> ctx.finish()
    """
    config = {} if cfg is None else as_mapping(cfg, "config")
    given = {
        "project": project, "entity": entity, "name": name, "group": group, "notes": notes,
        "job_type": job_type, "tags": tags, "dir": dir, "settings": settings,
    }  # fmt: skip
    section = values_of.section(config, "wandb")
    options = {key: section.get(key) if value is None else value for key, value in given.items()}
    chosen = _mode(mode or section.get("mode"))
    run_id = run_id or os.environ.get("WANDB_RUN_ID")
    is_named, run_id = run_id is not None, run_key(run_id or secrets.token_hex(4))
    context = WandBContext(run_id, chosen)
    if chosen == "disabled":
        return context
    run_id_there = wandb_id(run_id)
    words = options["tags"] = _texts(options["tags"])
    options["settings"] = values_of.given_settings(options["settings"])
    facts: dict[str, Any] = {
        "wandb_run_id": run_id_there,
        "run_name": options["name"],
        "group_name": options["group"],
        "notes": options["notes"],
        "host": socket.gethostname(),
    }
    about = {key: options[key] and str(options[key]) for key in ("project", "entity", "job_type")}
    pinned: dict[str, str | None] = dict.fromkeys(words) | place_tags(**about)
    options |= {
        "id": run_id_there,
        "mode": chosen,
        "group": options["group"] or os.environ.get("WANDB_RUN_GROUP") or run_id_there,
        "config": values_of.plain(dict(config)),
        "resume": "allow" if is_named else None,
    }
    context.begin(db, options)
    context.tell(
        config=options["config"],
        tags=pinned,
        fields={key: value for key, value in facts.items() if value is not None},
    )
    context.start_wandb()
    return context


def _mode(given: Any) -> str:
    if given is None and os.environ.get("WANDB_DISABLED", "").lower() in _YES:
        return "disabled"
    mode = str(given or os.environ.get("WANDB_MODE") or "online").lower()
    mode = _OLD_MODES.get(mode, mode)
    if mode not in MODES:
        raise UnknownName("mode", mode, MODES)
    return mode


def _texts(tags: Any) -> list[str]:
    return [sound(str(tag)) for tag in ([tags] if isinstance(tags, str) else tags or ())]
