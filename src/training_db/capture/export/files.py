"""The files of a run that W&B tracked: images, tables and whatever was saved with it."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training_db.database import TrainingDB

_IN_RUN_FOLDER = re.compile(
    r"^.*/(?:offline-)?run-\d{8}_\d{6}-[^/]+/files/(?P<name>.+)$", re.DOTALL
)

# The client writes these anew when it uploads, and would write into the file that was linked.
_ITS_OWN = {
    "config.yaml", "wandb-summary.json", "wandb-metadata.json", "output.log", "requirements.txt",
    "conda-environment.yaml",
}  # fmt: skip


def tracked_files(db: TrainingDB, run_id: str) -> dict[str, Path]:
    """Find the files of a run that stand in a run folder of W&B.

    Args:
        db: The database.
        run_id: The run.

    Returns:
        For each file its place below ``files/``, by which values of the history refer to it, and
        where it is, or was.

    Example:
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("r1")
        >>> _ = db.artifacts.add("r1", "table-file", "/w/run-20260102_030405-r1/files/media/t.json")
        >>> tracked_files(db, "r1")
        {'media/t.json': PosixPath('/w/run-20260102_030405-r1/files/media/t.json')}
    """
    found = {}
    for artifact in db.artifacts.list(run_id):
        parts = _IN_RUN_FOLDER.match(artifact["filepath"])
        if parts and parts["name"] not in _ITS_OWN and ".." not in parts["name"].split("/"):
            found[str(PurePosixPath(parts["name"]))] = Path(artifact["filepath"])
    return found


def write_metadata(folder: Path, git: dict[str, Any]) -> None:
    """Write what W&B's log has no place for: the branch of the code, and whether it was changed.

    Args:
        folder: The run folder.
        git: The ``commit``, the ``branch`` and ``dirty``, as far as they are known.
    """
    if git.keys() - {"commit"}:
        (folder / "files").mkdir(exist_ok=True)
        text = json.dumps({"git": git}, indent=2)
        (folder / "files" / "wandb-metadata.json").write_text(text, encoding="utf-8")


def bring_files(files: dict[str, Path], folder: Path, faults: list[str]) -> list[str]:
    """Put files into a run folder, without a second copy where the disk allows that.

    Args:
        files: For each name below ``files/`` where the file is.
        folder: The run folder.
        faults: Where it is said how many could not be put there.

    Returns:
        The names of those that are in it.
    """
    brought = []
    for name, source in files.items():
        # Unlike the method of Path it raises for nothing that somebody may have noted as a path.
        if not (os.path.isfile(source) and os.access(source, os.R_OK)):  # noqa: PTH113
            continue
        place = folder / "files" / name
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            _bring(source.resolve(), place)
        except (FileExistsError, IsADirectoryError, NotADirectoryError):
            continue  # one part of a resumed run has a file where another has a folder
        brought.append(name)
    missing = len(files) - len(brought)
    if missing:
        faults.append(
            f"{missing} of its {len(files)} files are not where they were, cannot be read or are "
            "in each other's way; only the references to them were exported"
        )
    return brought


def _bring(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError:  # another disk, or one without links
        shutil.copyfile(source, place)
