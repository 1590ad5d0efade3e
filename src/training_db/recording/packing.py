"""What is logged, made a row: the same shape again and again costs next to nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training_db.documents import encode as encode_document
from training_db.errors import TrainingDBError
from training_db.recording.complaints import shown
from training_db.recording.rows import (
    CODES,
    EPOCH,
    STEP,
    TIMESTAMP,
    code_of,
    metric_name,
)
from training_db.segments import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from training_db.recording.complaints import Complaints
    from training_db.recording.rows import Layout
    from training_db.recording.spool import Spool

_MOST_SHAPES = 1_000
_Types = tuple[type, ...]


class Shape:
    """Metrics of these names and types, which become a row without a look at each.

    Args:
        keys: The names, in the order of the mapping.
        types: The types of the values.
        epoch: The type of the epoch that is given beside them, or ``NoneType``.
        layout: How the row is packed; ``None`` where each value has to be looked at.

    Attributes:
        is_whole: Whether the step and the time are among the metrics.
    """

    __slots__ = ("epoch", "is_whole", "keys", "number", "pack", "types")

    def __init__(
        self, keys: tuple[Any, ...], types: _Types, epoch: type, layout: Layout | None
    ) -> None:
        self.keys, self.types, self.epoch = keys, types, epoch
        self.is_whole = STEP in keys
        self.number = layout.number if layout else 0
        self.pack: Callable[..., bytes] | None = layout.pack if layout else None


class Packer:
    """Makes rows for one spool.

    Args:
        spool: Where the layouts are kept.
        complaints: Told what cannot be stored.
    """

    def __init__(self, spool: Spool, complaints: Complaints) -> None:
        self._spool, self._complaints = spool, complaints
        self._layouts: dict[tuple[str, tuple[str, ...]], Layout | None] = {}
        self._shapes: dict[tuple[tuple[Any, ...], _Types, type], Shape] = {}

    def shape(self, keys: tuple[Any, ...], types: _Types, epoch: type) -> Shape:
        """Return the shape of metrics: known, or new."""
        key = keys, types, epoch
        shape = self._shapes.get(key)
        if shape is None:
            if len(self._shapes) >= _MOST_SHAPES:
                self._shapes.clear()
            shape = self._shapes[key] = Shape(keys, types, epoch, self._fast(keys, types, epoch))
        return shape

    def packed(self, row: Mapping[str, Any]) -> tuple[int, bytes, int]:
        """Return a row of any shape, packed.

        Args:
            row: Plain values by name, as :meth:`plain` returns them.

        Returns:
            The number of the layout, the bytes, and how many cells there are.
        """
        codes = [code_of(value) for value in row.values()]
        layout = self._layout("".join(codes), tuple(row))
        if layout is None:
            return 0, encode_document(dict(row)).encode(), len(row)
        texts, numbers = [], []
        for code, value in zip(codes, row.values(), strict=True):
            if code == "j":
                texts.append(encode_document(value))
            else:
                numbers.append(value)
        return layout.number, layout.packed(numbers, texts), len(row)

    def plain(self, metrics: Mapping[Any, Any]) -> dict[str, Any]:
        """Return metrics with storable names and plain values, without what cannot be stored."""
        row: dict[str, Any] = {}
        for key, value in metrics.items():
            try:
                name = metric_name(key)
                if name in row:
                    self._complaints.about(
                        "names",
                        f"two metrics of a row are named {name!r}, and the later one is not "
                        "logged; name each by another text",
                        name,
                    )
                    continue
                stored = plain(value)
                if isinstance(stored, (list, dict)) or type(stored) is int:
                    encode_document(stored, "the value")
            except Exception as error:  # noqa: BLE001 - values of any class do as they like
                named = shown(key)
                self._complaints.about(
                    "values",
                    f"metric {named} is not logged where its value cannot be stored: "
                    f"{shown(error) if not isinstance(error, TrainingDBError) else error}",
                    named,
                    metric=named,
                )
                continue
            if stored is not None:
                row[name] = stored
        return row

    def _fast(self, keys: tuple[Any, ...], types: _Types, epoch: type) -> Layout | None:
        own = [(STEP, int), (TIMESTAMP, float)]
        if {*own} <= {*zip(keys, types, strict=True)}:
            own = []
        own += [] if epoch is type(None) else [(EPOCH, epoch)]
        names = tuple(name for name, _ in own) + keys
        if len(set(names)) < len(names):
            return None
        if not all(type(key) is str and metric_name(key) == key for key in keys):
            return None
        codes = [CODES.get(one) for one in (*(kind for _, kind in own), *types)]
        if None in codes:
            return None
        return self._layout("".join(map(str, codes)), names)

    def _layout(self, codes: str, keys: tuple[str, ...]) -> Layout | None:
        try:
            return self._layouts[codes, keys]
        except KeyError:
            layout = self._layouts[codes, keys] = self._spool.layout(codes, keys)
            if layout is None:
                del self._layouts[codes, keys]  # they would never end
            return layout
