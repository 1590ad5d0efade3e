"""The JSON that W&B writes: with bare NaN and infinities, and floats without a point.

One value that is no JSON costs that value only: it is kept as the text that it is.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from training_db.documents import DEEPEST, is_storable
from training_db.documents import encode as encode_document
from training_db.errors import InvalidValue
from training_db.recording.rows import metric_name
from training_db.segments import EXACT, narrowed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_LONG = re.compile(rb"\d{19}")  # what orjson may round to a float
_ROUNDED = 2.0**63
_LONGEST = 4_000  # digits of an integer that no database refuses


def value_of(raw: bytes) -> tuple[Any, str | None]:
    """Read one value.

    Args:
        raw: JSON text, maybe with bare ``NaN``, ``Infinity`` and ``-Infinity``.

    Returns:
        The value as documents can hold it, and what is wrong with it, if anything. What cannot be
        read is kept as text.

    Example:
        >>> value_of(b'{"loss":NaN}')
        ({'loss': nan}, None)
        >>> value_of(b"NVIDIA RTX A5000")
        ('NVIDIA RTX A5000', "b'NVIDIA RTX A5000' is no JSON")
    """
    try:
        value = json.loads(raw.decode())
    except (ValueError, RecursionError):
        return raw.decode(errors="replace"), f"{raw[:60]!r} is no JSON"
    return (value, None) if _is_harmless(value, raw) else _storable(value, raw)


def values_of(raws: Sequence[bytes]) -> tuple[list[Any], dict[int, str]]:
    """Read many values at once.

    Args:
        raws: The JSON text of each.

    Returns:
        The values, and for the positions of those that are damaged what is wrong with them.

    Example:
        >>> values_of([b"1", b"NaN", b"oops"])
        ([1, nan, 'oops'], {2: "b'oops' is no JSON"})
    """
    values = _together(raws)
    faults: dict[int, str] = {}
    if values is None:
        values, found = map(list, zip(*map(value_of, raws), strict=True))
        faults = {at: fault for at, fault in enumerate(found) if fault}
    elif not {dict, list}.isdisjoint(map(type, values)) or max(map(len, raws)) > _LONGEST:
        for at, (value, raw) in enumerate(zip(values, raws, strict=True)):
            if not _is_harmless(value, raw):
                values[at], fault = _storable(value, raw)
                if fault:
                    faults[at] = fault
    return values, faults


def array_of(values: list[Any], raws: Sequence[bytes], *, as_floats: bool) -> NDArray[Any]:
    """Return the values of a column as an array.

    Args:
        values: What :func:`values_of` read.
        raws: What it read them from; as many.
        as_floats: Whether integers are floats that were written without a point, as W&B does.

    Returns:
        float64 where there are floats, for the integers among them were floats too, as long as a
        float holds them exactly; else the narrowest type. Shape (n,).

    Example:
        >>> array_of([1, 0.5], [b"1", b"0.5"], as_floats=False).tolist()
        [1.0, 0.5]
    """
    kinds = set(map(type, values))
    if int in kinds and kinds <= {int, float}:
        zeros = [at for at, raw in enumerate(raws) if raw == b"-0"] if b"-0" in raws else []
        is_exact = all(-EXACT <= value <= EXACT for value in values if type(value) is int)
        if is_exact and (float in kinds or as_floats or zeros):
            floats = np.array(values, dtype=np.float64)
            floats[zeros] = -0.0
            return floats
    return narrowed(values)


class FloatColumns:
    """Which metrics of a run are floats: one that has been stays one, though W&B writes 1.0 as 1.

    Example:
        >>> columns = FloatColumns()
        >>> [columns.array("loss", values).tolist() for values in ([1], [0.5], [1])]
        [[1], [0.5], [1.0]]
    """

    def __init__(self) -> None:
        self._names: set[str] = set()

    def array(self, name: str, values: list[Any], raws: Sequence[bytes] = ()) -> NDArray[Any]:
        """Return the next values of a metric as an array; see :func:`array_of`."""
        array = array_of(values, raws, as_floats=name in self._names)
        if array.dtype == np.float64 or (array.dtype == object and float in map(type, values)):
            self._names.add(name)
        return array


def _together(raws: Sequence[bytes]) -> list[Any] | None:
    text = b"[" + b",".join(raws) + b"]"
    values = _parsed(text, orjson.loads)
    if values is None or _may_be_rounded(values, text):
        values = _parsed(text, json.loads)
    return values if values is None or len(values) == len(raws) else None


def _parsed(text: bytes, loads: Callable[[bytes], Any]) -> list[Any] | None:
    try:
        values: list[Any] = loads(text)
    except (ValueError, RecursionError):
        return None
    return values


def _may_be_rounded(values: list[Any], text: bytes) -> bool:
    """Tell whether an integer may have become a float, as those beyond 64 bits do in orjson."""
    kinds = set(map(type, values))
    if not kinds <= {float, int, bool, type(None)}:
        return _LONG.search(text) is not None
    if float not in kinds:
        return False
    numbers = [value for value in values if value is not None]
    return bool(max(numbers) >= _ROUNDED or min(numbers) <= -_ROUNDED)


def _is_harmless(value: object, raw: bytes) -> bool:
    """Tell whether documents hold a value as it is, as far as its text shows it at a glance."""
    if isinstance(value, (dict, list)):
        return len(raw) <= DEEPEST and b"\\" not in raw
    return not isinstance(value, int) or len(raw) <= _LONGEST


def _storable(value: Any, raw: bytes) -> tuple[Any, str | None]:
    try:
        encode_document(value)
    except InvalidValue:
        pass
    else:
        return value, None
    try:
        changed = _with_sound_keys(value)
        encode_document(changed)
    except (InvalidValue, RecursionError) as error:
        return raw.decode(errors="replace"), str(error)
    return changed, "a key holds characters that no database holds; they became U+FFFD"


def _with_sound_keys(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_sound_keys(one) for one in value]
    if isinstance(value, dict):
        return {sound_key(key): _with_sound_keys(one) for key, one in value.items()}
    return value


def sound_key(key: str) -> str:
    """Return a key as documents can hold it."""
    return key if is_storable(key) else metric_name(key)
