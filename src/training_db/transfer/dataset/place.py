"""The folder of a dataset: whole under its name, or not there."""

from __future__ import annotations

import json
import os
import shutil
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from training_db.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MANIFEST = "manifest.json"
FORMAT = "training-db dataset"
_BEGUN = f".{MANIFEST}"


def check_place(folder: Path, *, force: bool) -> None:
    """Make sure that nothing is replaced but a dataset, and that only when asked to.

    Raises:
        Conflict: Something else is there.
    """
    if not os.path.lexists(folder) or _is_empty(folder):
        return
    if not is_dataset(folder):
        raise Conflict(
            f"{folder} is there already, and is no dataset; nothing was written; "
            "export to another folder"
        )
    if not force:
        raise Conflict(
            f"{folder} is there already, and nothing was written; export to another folder, or "
            "replace it with --force (in Python force=True)"
        )


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a folder that takes its name only once the block is done.

    Args:
        folder: The folder; its name is not that of a link. Until the end all stands in
            ``FOLDER.partial``, which the next export takes over if this one is killed.

    Raises:
        Conflict: Another export writes there, or what stands there is not of an export.
        OSError: It cannot be written.
    """
    unfinished = folder.with_name(f"{folder.name}.partial")
    replaced = folder.with_name(f"{folder.name}.replaced")
    unfinished.mkdir(parents=True, exist_ok=True)
    with _locked(unfinished):
        for leftover in (unfinished, replaced):
            if leftover.exists() and not (is_dataset(leftover) or _is_empty(leftover)):
                raise Conflict(f"{leftover} is in the way; move it, or export to another folder")
        _clear(unfinished)
        # So that it is known for one of ours, whenever it is killed.
        write_manifest(unfinished, {"complete": False})
        try:
            yield unfinished
            _remove(replaced)
            if folder.exists():
                folder.rename(replaced)
            unfinished.rename(folder)
        except BaseException:
            _remove(unfinished)
            if replaced.exists() and not folder.exists():
                replaced.rename(folder)
            raise
        _remove(replaced)
        _sync(folder.parent)


def is_dataset(folder: Path) -> bool:
    """Tell whether a folder is a dataset, or one that was begun."""
    try:
        found = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("format") == FORMAT


def write_manifest(folder: Path, content: dict[str, Any]) -> None:
    """Write what is known of a dataset into its folder."""
    text = json.dumps({"format": FORMAT, **content}, indent=2, ensure_ascii=False)
    begun = folder / _BEGUN
    with begun.open("w", encoding="utf-8") as file:
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    begun.replace(folder / MANIFEST)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder against another export; the lock ends with the process."""
    if os.name == "nt":  # where a folder with open files cannot be deleted anyway
        yield
        return
    fcntl = import_module("fcntl")
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"another export writes to {folder}; wait for it, or export to another folder"
            ) from None
        except OSError:
            pass  # some network file systems have no locks
        if not folder.exists() or not os.path.samestat(folder.stat(), os.fstat(handle)):
            raise Conflict(f"another export has just ended in {folder}; try again")
        yield
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    with suppress(OSError):
        _clear(folder)
        folder.rmdir()


def _clear(folder: Path) -> None:
    # What it is known by goes last: whenever this is killed, it is known for one of ours.
    for entry in sorted(folder.iterdir(), key=lambda one: one.name == MANIFEST):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _is_empty(folder: Path) -> bool:
    if not folder.is_dir() or folder.is_symlink():
        return False
    return all(entry.name == _BEGUN for entry in folder.iterdir())


def _sync(folder: Path) -> None:
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
