"""Files of runs: where they stand, not what is in them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select

from training_db.models import run_artifacts
from training_db.repository.base import Repository, as_dicts, run_number, shown_columns

_ARTIFACT = run_artifacts.c
_SHOWN = select(*shown_columns(run_artifacts, without=["run_number"]))

if TYPE_CHECKING:
    PathLike = str | os.PathLike[str]


class ArtifactRepository(Repository):
    """The artifacts of a database's runs, as ``db.artifacts``."""

    def add(self, run_id: str, artifact_type: str, filepath: PathLike, metadata: Any = None) -> int:
        """Note where a file of a run stands; the file itself is neither read nor copied.

        Args:
            run_id: The run.
            artifact_type: What it is, such as ``"checkpoint"`` or ``"plot"``.
            filepath: Its path or URL. Of a file that is on this machine the size in bytes is
                noted too.
            metadata: What else is to be known of it: anything JSON can hold.

        Returns:
            The artifact's id.

        Raises:
            RunNotFound: There is no such run.
            InvalidValue: A value that cannot be stored.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1")
            >>> db.artifacts.add("r1", "checkpoint", "s3://bucket/r1.pt", {"step": 100})
            1
            >>> db.artifacts.list("r1")[0]["filepath"]
            's3://bucket/r1.pt'
        """
        from training_db.records import ArtifactFields, checked

        path = os.fspath(filepath) if isinstance(filepath, os.PathLike) else filepath
        row = checked(ArtifactFields, {"artifact_type": artifact_type, "filepath": path})
        if metadata is not None:
            row |= checked(ArtifactFields, {"metadata_json": metadata})
        row["size_bytes"] = _size(row["filepath"])
        with self._transactions(writes=True) as connection:
            row["run_number"] = run_number(connection, run_id)
            key = connection.execute(insert(run_artifacts), row).inserted_primary_key
        return int(key[0]) if key else 0

    def list(self, run_id: str, artifact_type: str | None = None) -> list[dict[str, Any]]:
        """Return the artifacts of a run, in the order in which they were added.

        Args:
            run_id: The run.
            artifact_type: Of this type only.

        Returns:
            For each ``id``, ``artifact_type``, ``filepath``, ``size_bytes`` (``None`` where it is
            not known), ``metadata_json`` (JSON text or ``None``) and ``created_at``.

        Raises:
            RunNotFound: There is no such run.
        """
        statement = _SHOWN.order_by(_ARTIFACT.id)
        if artifact_type is not None:
            statement = statement.where(_ARTIFACT.artifact_type == artifact_type)
        with self._transactions(writes=False) as connection:
            number = run_number(connection, run_id)
            of_run = statement.where(_ARTIFACT.run_number == number)
            return as_dicts(connection.execute(of_run), dict)


def _size(path: str) -> int | None:
    with suppress(OSError, ValueError):  # a URL, or a file of another machine
        return Path(path).stat().st_size
    return None
