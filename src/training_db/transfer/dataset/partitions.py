"""The folders of a dataset, named as Hive names them: ``created_month=2026-01``."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from training_db.errors import InvalidValue
from training_db.models import training_runs
from training_db.repository.arguments import one_of
from training_db.timestamps import format_timestamp
from training_db.transfer.dataset.fitting import fitted
from training_db.transfer.dataset.tables import FLAG, TIME, type_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from training_db.repository.stored_rows import ChosenRun

MONTHLY = ("created_month",)
_CREATED = {"created_year": 4, "created_month": 7, "created_day": 10}
_DOCUMENTS = {"config_json", "final_metrics_json", "history_layout"}
_NULL = "__HIVE_DEFAULT_PARTITION__"
# What Hive writes as %XX. Whoever reads turns all of them back.
_ESCAPED = re.compile(r"""[\x00-\x1f"#%'*/:=?\\\x7f{\[\]^]""")
_LONGEST = 200  # bytes of a folder's name; file systems take 255
_MOST = 10_000


@dataclass(frozen=True)
class Partitioning:
    """By what a dataset is split into folders.

    A folder says a value as text. Readers take ``7`` for a number and no text for NULL, and names
    end at 255 bytes. So the folders of a column of the runs are named ``by_`` and the column, which
    itself stays in the files, exact.

    Args:
        names: ``created_year``, ``created_month``, ``created_day``, or columns of the runs, each
            once.

    Raises:
        UnknownName: A name that is none of these.

    Example:
        >>> Partitioning(("status",)).keys
        ('by_status',)
    """

    names: tuple[str, ...] = MONTHLY

    def __post_init__(self) -> None:
        valid = [*_CREATED, *_columns()]
        for name in self.names:
            one_of("column to partition by", name, valid)

    @property
    def keys(self) -> tuple[str, ...]:
        """The names that the folders have before the ``=``."""
        return tuple(name if name in _CREATED else f"by_{name}" for name in self.names)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the runs that the folders are made of."""
        return tuple(dict.fromkeys(map(_source, self.names)))

    def split(self, runs: Iterable[ChosenRun]) -> list[tuple[str, list[ChosenRun]]]:
        """Say which runs go into which folder.

        Args:
            runs: The runs with the values of :attr:`columns`, in an order that they keep.

        Returns:
            For each folder its path and its runs.

        Raises:
            InvalidValue: There would be more than 10,000 folders.
        """
        placed = sorted(((self._folder(run), run) for run in runs), key=lambda one: one[0])
        folders = [
            (path, [run for _, run in some])
            for path, some in groupby(placed, key=lambda one: one[0])
        ]
        if len(folders) > _MOST:
            raise InvalidValue(
                f"{', '.join(self.names)} would make {len(folders)} folders; "
                "partition by what has fewer values, such as created_month"
            )
        return folders or [(self.nowhere, [])]

    @property
    def nowhere(self) -> str:
        """The folder of no value at all, where a table without rows has its columns."""
        return "/".join(f"{key}={_NULL}" for key in self.keys)

    def _folder(self, run: ChosenRun) -> str:
        return "/".join(
            f"{key}={folder_value(_shown(name, run.values[_source(name)]))}"
            for name, key in zip(self.names, self.keys, strict=True)
        )


def folder_value(value: str | None) -> str:
    """Write a value as a part of a folder's name, as Hive does.

    Args:
        value: The value; ``None`` and the empty text are the same to Hive.

    Returns:
        What can be part of a file's name; of a very long value its beginning and a checksum.

    Example:
        >>> folder_value("a/b=1"), folder_value(None)
        ('a%2Fb%3D1', '__HIVE_DEFAULT_PARTITION__')
    """
    if not value:
        return _NULL
    name = _escaped(value)
    if len(name.encode()) <= _LONGEST:
        return name
    beginning = value.encode()[: _LONGEST // 4].decode(errors="ignore")
    return f"{_escaped(beginning)}~{hashlib.sha256(value.encode()).hexdigest()[:16]}"


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


def _columns() -> list[str]:
    return [
        column.name
        for column in training_runs.c
        if column.computed is None
        and column.name not in _DOCUMENTS
        and type_of(column.type) != TIME
    ]


def _source(name: str) -> str:
    return "created_at" if name in _CREATED else name


def _shown(name: str, value: Any) -> str | None:
    kind = type_of(training_runs.c[_source(name)].type)
    values: Sequence[Any] = fitted([value], kind)[0]
    if values[0] is None:
        return None
    if kind == TIME:
        return format_timestamp(values[0])[: _CREATED[name]]
    return str(values[0]).lower() if kind == FLAG else str(values[0])
