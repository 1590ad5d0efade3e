r"""JSON documents: what goes into the text columns, and what comes out as it went in.

Strict JSON has no NaN, and JSONB has no NUL character and no lone surrogate. Such values are
stored as tagged objects, so that every backend can search the rest of the document::

    NaN, Infinity, -Infinity    {"$float": "NaN"}
    a text JSONB cannot hold    {"$text": "a\\u0000b"}      (the JSON escape, escaped once more)
    a key that begins with $float or $text, and with further dollars, gets one dollar more

Text that this library did not write is left as it is.
"""

from __future__ import annotations

import json
import math
import re
from argparse import Namespace
from collections.abc import Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson

from training_db.errors import InvalidValue

DEEPEST = 250  # about what orjson takes, and PostgreSQL and SQLite take more
LONGEST_INTEGER = 14_000
"""In bits: 4,215 digits; Python reads and writes 4,300."""
_TAGGED_KEY = re.compile(r"\$+(?:float|text)\Z")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
REPLACED = "\N{REPLACEMENT CHARACTER}"
"""What stands for a character that cannot be stored."""
_PLAIN_TYPES = {str, int, bool, type(None)}
_FLOAT_NAMES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def encode(document: object, name: str = "document") -> str:
    """Write a document as strict JSON text that both backends can store and search.

    Args:
        document: Anything made of mappings, lists, tuples, sets, text, numbers, bools and
            ``None``; numpy scalars and arrays, dates, paths, enums, dataclasses and pydantic
            models are written as the plain values they stand for.
        name: What the document is, for the error.

    Returns:
        JSON text. Floats keep every digit, and integers keep theirs at any length.

    Raises:
        InvalidValue: Something in it cannot be written; the message names where it stands.

    Example:
        >>> encode({"lr": float("nan"), "steps": (1, 2)})
        '{"lr":{"$float":"NaN"},"steps":[1,2]}'
        >>> encode({"model": {"act": max}}, "config")
        Traceback (most recent call last):
            ...
        training_db.errors.InvalidValue: config.model.act is a builtin_function_or_method, \
which JSON cannot hold; pass a number, text, list or mapping instead
    """
    try:
        text = orjson.dumps(document, option=orjson.OPT_PASSTHROUGH_DATACLASS)
        if not _needs_tags(text) and (b"null" not in text or _is_plain(document)):
            return text.decode()
    except TypeError:  # an integer beyond 64 bits, a numpy value, a key that is no text ...
        pass
    try:
        plain = _storable(document, (name,))
        return json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError:
        raise InvalidValue(f"the {name} is nested too deep; flatten it") from None


def decode(text: str) -> Any:
    """Read stored JSON text, or text by someone else, back into Python values.

    Args:
        text: JSON, with or without tags; bare ``NaN`` and ``Infinity`` are read too.

    Returns:
        The document as it went in.

    Raises:
        InvalidValue: The text is no JSON.

    Example:
        >>> decode('{"lr":{"$float":"-Infinity"},"x":[NaN]}')
        {'lr': -inf, 'x': [nan]}
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidValue(f"{text[:60]!r} is no JSON; pass a mapping or its JSON text") from None
    return _untagged(document) if "$" in text else document


def plain_json(text: str) -> str:
    """Turn stored JSON text into what :func:`json.loads` reads as the values that went in.

    Args:
        text: JSON text as it is stored; what is no JSON comes back as it is.

    Returns:
        The same text, or one with bare ``NaN`` and ``Infinity`` where it had tags.

    Example:
        >>> plain_json('{"lr":{"$float":"NaN"}}')
        '{"lr": NaN}'
    """
    if "$" not in text:  # a hundred times faster to look for than the quote and dollar of a tag
        return text
    try:
        return json.dumps(_untagged(json.loads(text)))
    except (ValueError, RecursionError):
        return text


def strict_json(text: str) -> str | None:
    """Turn any JSON text into the searchable form, or into ``None`` where it is no JSON.

    Example:
        >>> strict_json('{"a": NaN, "b": 1}')
        '{"a":{"$float":"NaN"},"b":1}'
        >>> strict_json("{broken") is None
        True
    """
    constants: list[str] = []
    try:
        document = json.loads(text, parse_constant=constants.append)
        if not constants and not ("\\u" in text and _holds_unstorable(document)):
            return text  # tags in it are tags
        return encode(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _holds_unstorable(node: object) -> bool:
    if isinstance(node, str):
        return not is_storable(node)
    if isinstance(node, dict):
        return any(_holds_unstorable(key) or _holds_unstorable(node[key]) for key in node)
    return isinstance(node, list) and any(map(_holds_unstorable, node))


def look_up(text: str, keys: list[str]) -> str | None:
    """Return the JSON text of what stands at a path of keys, or ``None`` where nothing does.

    Example:
        >>> look_up('{"a": {"b": [1]}}', ["a", "b"])
        '[1]'
    """
    strict = strict_json(text)
    node = None if strict is None else json.loads(strict)
    for key in keys:
        if not isinstance(node, dict) or key not in node:
            return None
        node = node[key]
    return json.dumps(node, ensure_ascii=False)


def stored_key(key: str) -> str:
    """Return a key as it stands in stored text, where it is no tag."""
    return f"${key}" if _TAGGED_KEY.match(key) else key


def is_storable(value: str) -> bool:
    """Tell whether both backends can hold a text in a text column."""
    return _UNSTORABLE.search(value) is None


def sound(text: str) -> str:
    r"""Return a text that both backends can hold: what they cannot, becomes U+FFFD.

    Example:
        >>> sound("a\x00b")
        'a\ufffdb'
    """
    return _UNSTORABLE.sub(REPLACED, text)


def check_text(value: str, name: str) -> str:
    """Return the text if both backends can hold it in a text column.

    Raises:
        InvalidValue: It holds a NUL character or half of a surrogate pair.
    """
    fault = _UNSTORABLE.search(value)
    if fault:
        what = "a NUL character" if fault[0] == "\x00" else f"the lone surrogate {fault[0]!r}"
        raise InvalidValue(f"{name} {value[:60]!r} holds {what} at {fault.start()}; remove it")
    return value


def _needs_tags(text: bytes) -> bool:
    # One byte is found a hundred times faster than two or a pattern, and most texts have neither.
    return (b"$" in text and b'"$' in text) or (b"\\" in text and b"\\u0000" in text)


def _is_plain(node: object) -> bool:
    """Tell whether the nulls that orjson wrote were all None, and none of them NaN."""
    kind = node.__class__
    if kind is float:
        return math.isfinite(node)  # type: ignore[arg-type]
    if kind is dict:
        return all(map(_is_plain, node.values()))  # type: ignore[attr-defined]
    if kind is list or kind is tuple:
        return all(map(_is_plain, node))  # type: ignore[call-overload]
    return kind in _PLAIN_TYPES


def _storable(value: object, path: tuple[str, ...]) -> object:
    if len(path) > DEEPEST:
        raise InvalidValue(f"{_dotted(path[:4])}... is nested over {DEEPEST} deep; flatten it")
    match value:
        case None | bool():
            return value
        case Enum():
            return _storable(value.value, path)
        case int():
            return _storable_integer(int(value), path)
        case float():
            return _storable_float(float(value))
        case str():
            return {"$text": json.dumps(value)[1:-1]} if _UNSTORABLE.search(value) else str(value)
        case Mapping():
            return _storable_mapping(value, path)
        case bytes() | bytearray():
            return _storable(_plain_value(value, path), path)
        case Sequence():
            return [_storable(item, (*path, str(index))) for index, item in enumerate(value)]
        case Set():
            return [_storable(item, path) for item in sorted(value, key=str)]
        case date() | time():
            return value.isoformat()
        case PurePath() | UUID():
            return _storable(str(value), path)
    return _storable(_plain_value(value, path), path)


def _storable_mapping(value: Mapping[Any, Any], path: tuple[str, ...]) -> dict[str, object]:
    stored: dict[str, object] = {}
    for key, item in value.items():
        text = _storable_key(key, path)
        if text in stored:
            raise InvalidValue(
                f"{_dotted(path)} has two keys that are {text!r} as text; rename one"
            )
        stored[text] = _storable(item, (*path, text))
    return stored


def _plain_value(value: object, path: tuple[str, ...]) -> object:
    plain = unwrapped(value)
    if type(plain) is type(value):
        raise InvalidValue(
            f"{_dotted(path)} is a {type(value).__name__}, which JSON cannot hold; "
            "pass a number, text, list or mapping instead"
        )
    return plain


def unwrapped(value: Any) -> object:
    """Unwrap what configs are full of, one layer deep, without importing any of its packages.

    Args:
        value: Such as a dataclass, a namespace, a pydantic model, W&B's config or summary, or a
            scalar or array of numpy, torch or pandas.

    Returns:
        The plain value it stands for, or the value itself where nothing is known of it.

    Example:
        >>> from types import SimpleNamespace
        >>> unwrapped(SimpleNamespace(lr=0.1))
        {'lr': 0.1}
    """
    if isinstance(value, type):
        return value
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, (Namespace, SimpleNamespace)):
        return dict(vars(value))
    for method in ("as_dict", "model_dump", "tolist"):  # W&B; pydantic; numpy, torch, pandas
        convert = getattr(value, method, None)
        if callable(convert):
            return convert()
    if hasattr(value, "keys") and hasattr(value, "__getitem__"):  # W&B's summary is no mapping
        return {key: value[key] for key in value.keys()}  # noqa: SIM118
    return value


def _storable_integer(value: int, path: tuple[str, ...]) -> int:
    if value.bit_length() > LONGEST_INTEGER:
        raise InvalidValue(
            f"{_dotted(path)} is an integer of over {LONGEST_INTEGER:,} bits, which no JSON reader "
            "takes; pass it as text"
        )
    return value


def _storable_float(value: float) -> object:
    if math.isfinite(value):
        return value
    return {"$float": "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"}


def _storable_key(key: object, path: tuple[str, ...]) -> str:
    if isinstance(key, Enum):
        key = key.value
    # As json.dumps writes them, so that a document reads back as one that went through a file.
    text = key if isinstance(key, str) else json.dumps(key) if _is_json_key(key) else None
    if text is None or _UNSTORABLE.search(text):
        raise InvalidValue(
            f"{_dotted(path)} has the key {key!r}, which JSON columns cannot hold; "
            "use text without NUL characters and lone surrogates"
        )
    return stored_key(text)


def _is_json_key(key: object) -> bool:
    return key is None or isinstance(key, (bool, int, float))


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (tag, inner), *_ = value.items()
        if tag == "$float" and isinstance(inner, str) and inner in _FLOAT_NAMES:
            return _FLOAT_NAMES[inner]
        if tag == "$text" and isinstance(inner, str):
            try:
                return json.loads(f'"{inner}"')
            except ValueError:  # text by someone else
                return value
    return {
        key[1:] if _TAGGED_KEY.match(key) and key.startswith("$$") else key: _untagged(item)
        for key, item in value.items()
    }


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(path)
