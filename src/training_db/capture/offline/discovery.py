"""Where W&B's logs are: in files, run folders and whole trees of them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Identity = tuple[int, int]

SUFFIX = ".wandb"
_BEGUN = re.compile(r"run-(\d{8}_\d{6})-")


@dataclass
class FoundLogs:
    """What there is at some paths.

    Attributes:
        logs: The logs, each once, in the order in which the runs began, as far as names say it.
        missing: For each path where no log can be had, why.
    """

    logs: list[Path] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


def find_logs(paths: Iterable[str | os.PathLike[str]]) -> FoundLogs:
    """Find the logs at some paths.

    Args:
        paths: Files, folders and whole trees of them, or patterns such as ``"*/wandb"``. What
            several paths or links lead to counts once.

    Example:
        >>> folder = getfixture("tmp_path") / "wandb" / "run-20240506_070809-a"
        >>> folder.mkdir(parents=True)
        >>> _ = (folder / "run-a.wandb").write_bytes(b"")
        >>> (folder.parent / "latest-run").symlink_to(folder)
        >>> [path.name for path in find_logs([folder.parent, folder]).logs]
        ['run-a.wandb']
    """
    found = FoundLogs()
    seen: set[Identity | None] = set()
    for one in paths:
        for log in _logs_at(os.fspath(one), found):
            identity = _identity(log)
            if identity is None:
                # A link to nothing, or a pipe, which would be waited for.
                found.missing[str(log)] = f"{str(log)!r} is no file; pass a log that W&B wrote"
            elif identity not in seen:
                found.logs.append(log)
            seen.add(identity)
    found.logs.sort(key=_order)
    return found


def _logs_at(path: str, found: FoundLogs) -> Iterator[Path]:
    if not path:
        found.missing[path] = "the path is empty; name a file or folder, or '.' for this folder"
        return
    places = [path]
    if has_magic(path) and not os.path.lexists(path):
        places = sorted(glob(path, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute patterns
        if not places:
            found.missing[path] = f"nothing is named like {path!r}; name a file or folder"
    for place in places:
        try:
            is_folder = S_ISDIR(Path(place).stat().st_mode)
        except (FileNotFoundError, ValueError):  # it holds a NUL, say
            found.missing[place] = f"there is no file or folder {place!r}; check the path"
        except OSError as error:
            _note_closed(found, error, place)
        else:
            if not is_folder:
                yield Path(place)
                continue
            before = len(found.missing)
            logs = list(_logs_below(Path(place), found))
            if not logs and place == path and len(found.missing) == before:
                found.missing[place] = (
                    f"there is no W&B log in {place!r}; name a folder that holds run-*.wandb files"
                )
            yield from logs


def _note_closed(found: FoundLogs, error: OSError, place: str) -> None:
    found.missing[place] = f"{place!r} cannot be read: {error.strerror}"


def _logs_below(folder: Path, found: FoundLogs) -> Iterator[Path]:
    """Go through a tree, following links, each folder once."""
    seen: set[Identity | None] = {None}

    def note(error: OSError) -> None:
        _note_closed(found, error, str(error.filename))

    for place, folders, files in os.walk(folder, onerror=note, followlinks=True):
        identity = _identity(Path(place))
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        # The real folders first, so that a log is shown by its own name and not by latest-run's.
        folders.sort(key=lambda name: (Path(place, name).is_symlink(), name))
        yield from (Path(place, name) for name in sorted(files) if name.endswith(SUFFIX))


def _identity(path: Path) -> Identity | None:
    try:
        status = path.stat()
    except OSError:
        return None
    if not (S_ISREG(status.st_mode) or S_ISDIR(status.st_mode)):
        return None
    return status.st_dev, status.st_ino


def _order(path: Path) -> tuple[str, str]:
    begun = _BEGUN.search(path.parent.name)
    return begun[1] if begun else "", str(path)
