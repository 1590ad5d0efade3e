"""The rows of a W&B log, taken from its bytes by columns."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.capture.captured import RowBatch
from training_db.capture.key_names import MEDIA_TYPE, is_nested, leaves
from training_db.capture.offline.items import (
    VALUE,
    key_of,
    long_value,
    path_and_value,
    typed_number,
)
from training_db.capture.offline.json_values import FloatColumns, values_of
from training_db.recording.rows import STEP
from training_db.segments import Column

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from training_db.capture.key_names import KeyNames

    Path = tuple[str, ...]

_STEP_PATH = (STEP,)


class _Cells:
    """The cells of one key that were read and not yet parsed."""

    __slots__ = ("is_nested", "path", "raws", "rows")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_nested = len(path) > 1
        self.rows: list[int] = []
        self.raws: list[bytes] = []


class RowDecoder:
    """Collects rows until they are taken as a batch.

    Args:
        names: The names of the metrics.
        remember: Is called for each key in a batch with its path, its values, and the JSON text and
            the place in the file of the last of them.

    Attributes:
        rows: How many rows were added.
        cells: How many items those have that were not taken yet.
        size: How many bytes those are.
        counts: For each metric how many cells were taken.
        media: For each path of a file that rows refer to, what they say of it.
        damage: What could not be read.
        has_steps: Whether any row had a step.
        skips_nulls: Whether a null does not count as the last value of a key.
    """

    def __init__(
        self, names: KeyNames, remember: Callable[[Path, NDArray[Any], bytes, int], None]
    ) -> None:
        self.rows = self.cells = self.size = 0
        self.counts: Counter[str] = Counter()
        self.media: dict[str, dict[str, Any]] = {}
        self.damage: list[str] = []
        self.has_steps = self.skips_nulls = False
        self._names = names
        self._remember = remember
        self._by_head: dict[bytes, _Cells] = {}
        self._by_path: dict[Path, _Cells] = {}
        self._floats = FloatColumns()
        self._orders: list[int] = []  # of the rows that were not taken yet

    def add(self, items: Sequence[bytes], step: int | None, order: int) -> None:
        """Add a row.

        Args:
            items: The bytes of its items.
            step: Its step, as far as the record says it; an item ``_step`` counts more.
            order: The place of its record in the file.
        """
        row = self.rows
        self.rows += 1
        self.cells += len(items)
        self._orders.append(order)
        known = self._by_head
        nested: list[tuple[_Cells, bytes]] = []
        for item in items:
            head, _, value = item.partition(VALUE)
            cells = known.get(head) if value else None
            if cells is not None and value[0] == len(value) - 1:
                raw = value[1:]
            else:
                found = self._odd(item, cells, value)
                if found is None:
                    self.damage.append(f"row {row:,}: {item[:60]!r} is no item")
                    continue
                cells, raw = found
            if cells.is_nested:
                nested.append((cells, raw))
            else:
                cells.rows.append(row)
                cells.raws.append(raw)
        if nested:
            self._add_nested(nested, row)
        if step is not None:
            cells = self._cells(_STEP_PATH)
            if cells.rows[-1:] != [row]:
                _put(cells, b"%d" % step, row)

    def _odd(self, item: bytes, cells: _Cells | None, value: bytes) -> tuple[_Cells, bytes] | None:
        """Read an item whose key is new, whose value is long or typed, or that is odd indeed."""
        if cells is not None:
            raw = long_value(value) or typed_number(value)
            if raw is not None:
                return cells, raw
        found = path_and_value(item)
        if found is None:
            return None
        path, raw = found
        cells = self._cells(path)
        head = key_of(item)
        if head:
            self._by_head[head] = cells
        return cells, raw

    def _add_nested(self, nested: list[tuple[_Cells, bytes]], row: int) -> None:
        """Add what stands below other keys, and media, which were taken apart, as one."""
        media = {cells.path[:-1] for cells, _ in nested if cells.path[-1] == MEDIA_TYPE}
        parts: dict[Path, dict[Path, bytes]] = {}
        for cells, raw in nested:
            path = cells.path
            length = next((n for n in range(1, len(path)) if path[:n] in media), 0) if media else 0
            if length:
                parts.setdefault(path[:length], {})[path[length:]] = raw
            else:
                _put(cells, raw, row)
        for path, pieces in parts.items():
            _put(self._cells(path), _assembled(pieces), row)

    def _cells(self, path: Path) -> _Cells:
        cells = self._by_path.get(path)
        if cells is None:
            cells = self._by_path[path] = _Cells(path)
        return cells

    def take(self) -> RowBatch:
        """Return the rows that were added since the last time."""
        stop = self.rows
        first = stop - len(self._orders)
        columns: dict[str, Column] = {}
        below: dict[Path, dict[int, Any]] = {}
        every = list(range(first, stop))
        dense = np.arange(first, stop, dtype=np.int64)
        for cells in self._by_path.values():
            if not cells.rows:
                continue
            rows, raws = cells.rows, cells.raws
            cells.rows, cells.raws = [], []
            numbers = dense
            if rows != every:
                numbers, raws = _last_of_each(np.array(rows, dtype=np.int64), raws)
            self._add_column(columns, below, cells.path, numbers, raws)
        for path, found in below.items():
            self._add_below(columns, path, found)
        for name, column in columns.items():
            self.counts[name] += len(column)
        self.has_steps = self.has_steps or STEP in columns
        self.cells = self.size = 0
        self._orders = []
        return RowBatch(columns, (first, stop))

    def _add_column(
        self,
        columns: dict[str, Column],
        below: dict[Path, dict[int, Any]],
        path: Path,
        rows: NDArray[np.int64],
        raws: list[bytes],
    ) -> None:
        values, faults = values_of(raws)
        if faults:
            where = ".".join(path)
            self.damage += [f"row {rows[at]:,}, {where}: {fault}" for at, fault in faults.items()]
        if any(type(value) is dict for value in values):
            self._note_media(path, values)
            inner = [at for at, value in enumerate(values) if is_nested(value)]
            for at in inner:
                for rest, value in leaves(values[at]):
                    below.setdefault((*path, *rest), {})[int(rows[at])] = value
            if inner:
                kept = sorted(set(range(len(values))).difference(inner))
                rows, raws = rows[kept], [raws[at] for at in kept]
                values = [values[at] for at in kept]
                if not kept:
                    return
        name = self._names.name(path)
        columns[name] = Column(rows, self._floats.array(name, values, raws))
        self._remember_last(path, columns[name], raws)

    def _add_below(self, columns: dict[str, Column], path: Path, found: dict[int, Any]) -> None:
        """Add the leaves of dicts that stood in rows as one value, as clients before 0.18 write."""
        name = self._names.name(path)
        if name in columns:
            there = columns[name]
            found |= dict(zip(there.rows.tolist(), there.values.tolist(), strict=True))
        rows = sorted(found)
        values = [found[row] for row in rows]
        self._note_media(path, values)
        columns[name] = Column(np.array(rows, dtype=np.int64), self._floats.array(name, values))
        self._remember_last(path, columns[name], [json.dumps(one).encode() for one in values])

    def _remember_last(self, path: Path, cells: Column, raws: list[bytes]) -> None:
        at = len(raws) - 1
        if self.skips_nulls:
            while at >= 0 and raws[at] == b"null":
                at -= 1
        if at >= 0:
            first = self.rows - len(self._orders)
            order = self._orders[int(cells.rows[at]) - first]
            self._remember(path, cells.values, raws[at], order)

    def _note_media(self, path: Path, values: Iterable[Any]) -> None:
        for value in values:
            if isinstance(value, dict) and MEDIA_TYPE in value:
                for place in _files_of(value):
                    self.media[place] = {"type": value[MEDIA_TYPE], "metric": ".".join(path)} | {
                        key: value[key] for key in ("size", "sha256") if key in value
                    }


def _put(cells: _Cells, raw: bytes, row: int) -> None:
    cells.rows.append(row)
    cells.raws.append(raw)


def _last_of_each(
    rows: NDArray[np.int64], raws: list[bytes]
) -> tuple[NDArray[np.int64], list[bytes]]:
    """Keep the last value of a key that a row has twice."""
    is_new = rows[1:] != rows[:-1]
    if is_new.all():
        return rows, raws
    is_last = np.append(is_new, True)
    return rows[is_last], [raws[at] for at in np.flatnonzero(is_last)]


def _assembled(pieces: dict[Path, bytes]) -> bytes:
    """Return the JSON text of a dict, given those of what stands at its paths."""
    below: dict[str, dict[Path, bytes]] = {}
    for path, raw in sorted(pieces.items()):
        below.setdefault(path[0], {})[path[1:]] = raw
    members = (
        json.dumps(key).encode() + b":" + (inner[()] if () in inner else _assembled(inner))
        for key, inner in below.items()
    )
    return b"{%s}" % b",".join(members)


def _files_of(medium: dict[str, Any]) -> list[str]:
    places = [medium.get("path"), *_listed(medium.get("filenames"))]
    return [place for place in places if isinstance(place, str) and place]


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
