"""A context in a file, so that the subprocesses of a pipeline log to the same run."""

from __future__ import annotations

import json
import os
import secrets
import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training_db.capture.captured import PARENT_TAG
from training_db.capture.context.pipeline import MODES, WandBContext
from training_db.errors import ConfigurationError
from training_db.recording.complaints import warn
from training_db.recording.place import place_of
from training_db.settings import resolve_url
from training_db.timestamps import format_timestamp, now

if TYPE_CHECKING:
    from sqlalchemy import URL

FILE_VARIABLE = "WANDB_CONTEXT_FILE"
SERVICE_VARIABLE = "WANDB_SERVICE"
"""By it wandb says where its process is; a child that used that of its parent would lose rows."""
_PASSWORD_VARIABLE = "TRAINING_DB_PASSWORD"  # nosec  # noqa: S105 - the name of a variable
_OUR_VARIABLE = "TRAINING_DB_CONTEXT_PASSWORD"
_FORMAT = 1
_SECRETS = ("password", "sslpassword", "passfile", "sslkey")


def save_wandb_context(ctx: WandBContext, path: str | os.PathLike[str]) -> dict[str, str]:
    """Write a context to a file, from which subprocesses load it.

    The file is for the eyes of its owner only, and holds no password: the database is named
    without it. A subprocess on this machine needs nothing but the environment that is returned.
    Elsewhere, or in an environment of one's own, it needs ``WANDB_CONTEXT_FILE``, no
    ``WANDB_SERVICE``, and, if the database asks for one, the password: in ``TRAINING_DB_PASSWORD``
    or ``TRAINING_DB_URL``, or where PostgreSQL's clients look for it (``PGPASSWORD``,
    ``~/.pgpass``).

    Args:
        ctx: The context.
        path: The file; folders that are not there are made.

    Returns:
        The environment for a subprocess: the one of this process with ``WANDB_CONTEXT_FILE``,
        without ``WANDB_SERVICE``, and, where no other variable has the password, with it in
        ``TRAINING_DB_CONTEXT_PASSWORD``. Where the file cannot be written, that is said, and
        subprocesses log nothing.

    Example:
        >>> from training_db.capture import create_wandb_context
        >>> ctx = create_wandb_context({}, run_id="p1", mode="disabled")
        >>> path = getfixture("tmp_path") / "context.json"
        >>> environment = save_wandb_context(ctx, path)
        >>> environment["WANDB_CONTEXT_FILE"] == str(path), "WANDB_SERVICE" in environment
        (True, False)
    """
    environment = dict(os.environ)
    environment.pop(SERVICE_VARIABLE, None)
    environment.pop(FILE_VARIABLE, None)
    try:
        place = Path(path).expanduser().absolute()
        _write(place, _document(ctx))
    except Exception as error:  # noqa: BLE001 - a training does not end for its log
        warn(f"the context was not saved to {path}, so subprocesses log nothing: {error}")
        return environment
    environment[FILE_VARIABLE] = str(place)
    password = None if ctx.is_disabled else ctx.db.url.password
    if password and password != _password_of(ctx.db.url):
        environment[_OUR_VARIABLE] = str(password)
    return environment


def load_wandb_context_from_env(stage: str | None = None) -> WandBContext:
    """Load the context of the pipeline that this process is a part of.

    It logs to the same run of the database, by a writer of its own, and to a run of its own at
    W&B, for W&B has no safe way for several processes to share one. That run is linked to the
    pipeline's: by its group, the tag ``parent:ID`` and ``parent_run_id`` in its config. It starts
    with the first that is logged, or at once if the stage is named here.

    Nothing here raises. ``WANDB_SERVICE`` is removed from the environment of this process.

    Args:
        stage: What this process does, the job type of its run at W&B; without one, the stage
            that it logs first.

    Returns:
        The context; a disabled one where ``WANDB_CONTEXT_FILE`` names no file that can be used,
        or that of a disabled context.

    Example:
        >>> load_wandb_context_from_env("eval").is_disabled
        True
    """
    path = os.environ.get(FILE_VARIABLE)
    if not path:
        return WandBContext("none", "disabled")
    try:
        saved = _read(Path(path))
        context = WandBContext(saved["run_id"], saved["mode"], saved["wandb"] or {})
        if context.is_disabled:
            return context
        if saved["pid"] != os.getpid() or saved["host"] != socket.gethostname():
            os.environ.pop(SERVICE_VARIABLE, None)
        context.begin(_url(saved["database"]), _options(saved, stage))
    except Exception as error:  # noqa: BLE001 - a training does not end for its log
        warn(f"nothing is logged here, for {FILE_VARIABLE} names {path}: {_reason(error)}")
        return WandBContext("none", "disabled")
    if stage is not None:
        context.start_wandb(stage)
    return context


def _document(ctx: WandBContext) -> dict[str, Any]:
    is_off = ctx.is_disabled
    return {
        "format": _FORMAT,
        "run_id": ctx.run_id,
        "mode": ctx.mode,
        "database": None if is_off else _without_secrets(ctx.db.url),
        "wandb": None if is_off else ctx.wandb_facts(),
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "saved_at": format_timestamp(now()),
    }


def _write(path: Path, document: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Readable by its owner only from the first byte on, and whole whenever somebody reads it.
    number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=2)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read(path: Path) -> dict[str, Any]:
    saved = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(saved, dict) or saved.get("format") != _FORMAT:
        raise ValueError("it is no context that this version of training-db can read")
    if saved["mode"] not in MODES or not isinstance(saved["run_id"], str):
        raise ValueError(f"its mode is {saved['mode']!r}, its run {saved['run_id']!r}")
    return saved


def _options(saved: dict[str, Any], stage: str | None) -> dict[str, Any]:
    parent = saved["wandb"]
    return {
        "is_linked": True,
        "id": secrets.token_hex(4),
        "mode": saved["mode"],
        "job_type": stage,
        "group": parent["group"],
        "name": parent["name"],
        "tags": [f"{PARENT_TAG}{parent['id']}"],
        "config": {"parent_run_id": parent["id"]},
        **{key: parent.get(key) for key in ("project", "entity", "dir", "settings")},
    }


def _without_secrets(url: URL) -> str | None:
    if not place_of(url):
        return None  # in memory, where no other process gets
    bare = url._replace(password=None).difference_update_query(_SECRETS)  # set() keeps it
    return bare.render_as_string(hide_password=False)


def _url(saved: str | None) -> URL:
    """Return where the database is, with the password that the environment has for it."""
    if saved is None:
        raise ValueError("its database is in memory, where no other process gets")
    url = resolve_url(saved)
    password = _password_of(url)
    return url.set(password=password) if password else url


def _password_of(url: URL) -> str | None:
    """Return the password that variables of ours have for a database."""
    if url.get_backend_name() == "sqlite":
        return None
    given = os.environ.get(_OUR_VARIABLE)
    if given:
        return given
    with suppress(ConfigurationError):  # that of a database that nobody asks for here
        named = resolve_url()
        if named.password and place_of(named) == place_of(url):
            return str(named.password)
    return os.environ.get(_PASSWORD_VARIABLE)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
