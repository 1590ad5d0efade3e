"""What stands beside a W&B log and not in it, such as the branch of the code."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from training_db.capture.captured import CapturedRun


def add_from_folder(run: CapturedRun, files: Path) -> None:
    """Fill in what the log does not say.

    Args:
        run: The run, as its log knows it.
        files: The folder ``files`` of the run's folder, which may be missing.
    """
    about = _metadata(files / "wandb-metadata.json")
    git = about.get("git")
    if isinstance(git, dict):
        run.git_branch = run.git_branch or _text(git.get("branch"))
        run.git_commit = run.git_commit or _text(git.get("commit"))
        if isinstance(git.get("dirty"), bool):
            run.git_dirty = git["dirty"]
    run.host = run.host or _text(about.get("host"))
    try:
        if (files / "diff.patch").stat().st_size:
            run.git_dirty = True
    except OSError:
        pass  # W&B writes no patch where there is nothing to write, or where it was told not to


def _metadata(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
