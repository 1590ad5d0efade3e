"""What a log says, by a plain loop over its protobuf messages; and how values are compared."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from wandb.proto.wandb_internal_pb2 import Record

from tests.capture.frames import payloads

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from training_db.capture.captured import RowBatch
    from training_db.capture.offline.log import WandbLog

Cells = dict[str, dict[int, Any]]


@dataclass
class Told:
    """What a log says.

    Attributes:
        rows: How many rows its history has.
        cells: For each metric its values by row; the parts of a path are joined by dots.
    """

    rows: int = 0
    cells: Cells = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        return {name: len(cells) for name, cells in self.cells.items()}


def told(path: Path) -> Told:
    """Read an undamaged log whose keys do not clash when their parts are joined by dots."""
    found = Told()
    for payload in payloads(path.read_bytes()):
        record = Record.FromString(payload)
        if record.WhichOneof("record_type") != "history":
            continue
        tree: dict[tuple[str, ...], Any] = {}
        for item in record.history.item:
            tree[tuple(item.nested_key) or (item.key,)] = json.loads(item.value_json)
        if record.history.HasField("step"):
            tree.setdefault(("_step",), record.history.step.num)
        for key, value in _media_joined(tree).items():
            found.cells.setdefault(".".join(key), {})[found.rows] = value
        found.rows += 1
    return found


def _media_joined(tree: Mapping[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
    media = {key[:-1] for key in tree if len(key) > 1 and key[-1] == "_type"}
    joined: dict[tuple[str, ...], Any] = {}
    for key, value in tree.items():
        parent = next((key[:size] for size in range(1, len(key)) if key[:size] in media), None)
        if parent is None:
            joined[key] = value
            continue
        node = joined.setdefault(parent, {})
        for part in key[len(parent) : -1]:
            node = node.setdefault(part, {})
        node[key[-1]] = value
    return joined


def read(log: WandbLog) -> Cells:
    """Read a log to its present end, and return its cells by metric and row."""
    return cells_of(log.batches())


def cells_of(batches: Iterable[RowBatch]) -> Cells:
    found: Cells = {}
    stop = None
    for batch in batches:
        assert stop is None or batch.rows[0] == stop, "batches follow one another"
        assert batch.rows[0] < batch.rows[1]
        stop = batch.rows[1]
        for name, column in batch.columns.items():
            there = found.setdefault(name, {})
            for row, value in zip(column.rows.tolist(), column.values.tolist(), strict=True):
                assert batch.rows[0] <= row < batch.rows[1]
                assert row not in there, f"{name} has row {row} twice"
                there[row] = value
    return found


def alike(left: Any, right: Any) -> bool:
    """Compare values: NaN equals NaN, 1 equals 1.0 but not True."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(alike(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(alike, left, right))
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    return type(left) is type(right) and bool(left == right)


def differences(expected: Any, found: Any) -> list[str]:
    """Say for two mappings, nested or not, where they are not alike."""
    if not isinstance(expected, dict) or not isinstance(found, dict):
        return [] if alike(expected, found) else [f"{expected!r} != {found!r}"]
    said = [f"missing: {key!r}" for key in expected if key not in found]
    said += [f"too many: {key!r}" for key in found if key not in expected]
    for key in expected:
        if key in found:
            said += [f"{key}: {one}" for one in differences(expected[key], found[key])]
    return said


def count_of(cells: Cells) -> Counter[str]:
    return Counter({name: len(values) for name, values in cells.items()})
