"""The files of a live W&B run, by reference, as its log would name them."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class MirroredFiles:
    """Notes each file once.

    Args:
        folder: Where W&B keeps the files of the run.
        on_new: Called when there is a new one.

    Example:
        >>> files = MirroredFiles("/runs/files", lambda: None)
        >>> files.saved(["config.yaml", "media/images/a.png", "config.yaml"])
        >>> files.news()
        [{'type': 'file', 'path': '/runs/files/config.yaml', 'metadata': None}]
        >>> files.news()
        []
    """

    def __init__(self, folder: str, on_new: Callable[[], None]) -> None:
        self._folder, self._on_new = Path(folder), on_new
        self._known: set[tuple[str, str]] = set()
        self._news: deque[dict[str, Any]] = deque()

    def news(self) -> list[dict[str, Any]]:
        """Return what was noted since this was asked last."""
        # One by one: another thread may note a file meanwhile.
        return [self._news.popleft() for _ in range(len(self._news))]

    def saved(self, paths: Iterable[str]) -> None:
        """Note files by their paths in the folder, but for media: those belong to a metric."""
        for path in paths:
            if not path.startswith("media/"):
                self._take("file", str(self._folder / path), None)

    def medium(self, metric: str, step: int, stored: Mapping[str, Any]) -> None:
        """Note the files of a medium.

        Args:
            metric: The metric that it is a value of.
            step: The step of its row.
            stored: What W&B stores for it.
        """
        about = {"metric": metric, "step": step}
        about |= {name: stored[name] for name in ("size", "sha256") if name in stored}
        for path in stored.get("filenames") or [stored.get("path")]:
            if isinstance(path, str):
                place = path if "://" in path else str(self._folder / path)
                self._take(str(stored["_type"]), place, about)

    def artifact(self, artifact: Any, aliases: Iterable[str] | None) -> None:
        """Note an artifact of W&B's."""
        about = {"name": artifact.name, "aliases": list(aliases or ()), "digest": artifact.digest}
        about |= {"description": artifact.description, "metadata": artifact.metadata}
        told = {name: one for name, one in about.items() if one}
        self._take(str(artifact.type), f"wandb-client-artifact://{artifact._client_id}", told)

    def _take(self, kind: str, path: str, about: Any) -> None:
        if (kind, path) not in self._known:
            self._known.add((kind, path))
            self._news.append({"type": kind, "path": path, "metadata": about})
            self._on_new()
