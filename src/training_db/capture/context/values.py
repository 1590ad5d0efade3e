"""What pipelines log besides numbers, as the plain values that both sides can hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from training_db.documents import decode, encode, is_storable, sound, unwrapped
from training_db.recording.complaints import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_DEEPEST = 50
_SECRET_WORDS = ("key", "token", "secret", "password", "header", "proxy")


def plain(value: Any, above: tuple[int, ...] = ()) -> Any:
    """Return what JSON can hold of a value; a part that it cannot hold becomes text.

    Args:
        value: Anything, such as a config of OmegaConf, a numpy array or a tensor.
        above: What it stands in, by identity: what holds itself becomes text, too.

    Example:
        >>> plain({"lr": 0.1, "act": {"name": max}, "sizes": (1, 2)})
        {'lr': 0.1, 'act': {'name': '<built-in function max>'}, 'sizes': [1, 2]}
    """
    try:
        return decode(encode(value))
    except Exception:  # noqa: BLE001 - values of any class do as they like
        if id(value) in above or len(above) > _DEEPEST:
            return _text(value)
    try:
        inner = value if isinstance(value, Mapping) else unwrapped(value)
    except Exception:  # noqa: BLE001 - likewise
        return _text(value)
    above = (*above, id(value))
    if isinstance(inner, Mapping):
        return {sound(str(key)): plain(_item(inner, key), above) for key in list(inner)}
    if isinstance(inner, Sequence) and not isinstance(inner, (str, bytes)):
        return [plain(one, above) for one in inner]
    return _text(value)


def flat(
    metrics: Mapping[Any, Any], prefix: str | None = None, above: tuple[int, ...] = ()
) -> Iterator[tuple[str, Any]]:
    """Yield the values of nested metrics under one key each, their parts joined by ``/``.

    Args:
        metrics: The values by name.
        prefix: What stands before the names.
        above: What they stand in, by identity: what holds itself is not gone into.

    Example:
        >>> dict(flat({"acc": 0.9, "by_class": {"cat": 0.8}}, "eval"))
        {'eval/acc': 0.9, 'eval/by_class/cat': 0.8}
    """
    above = (*above, id(metrics))
    for key, value in metrics.items():
        name = sound(f"{prefix}/{key}" if prefix else str(key))
        is_nested = isinstance(value, Mapping) and value and "_type" not in value
        if is_nested and id(value) not in above:
            yield from flat(value, name, above)
        else:
            yield name, value


def section(config: Mapping[Any, Any], name: str) -> dict[str, Any]:
    """Return a section of a config; an empty one where there is none.

    Example:
        >>> section({"wandb": {"project": "moo"}}, "wandb"), section({"wandb": True}, "wandb")
        ({'project': 'moo'}, {})
    """
    if name not in config:
        return {}
    found = plain(_item(config, name))
    return found if isinstance(found, dict) else {}


def given_settings(settings: Any) -> Any:
    """Return of a ``wandb.Settings`` what was set there, as a dict; anything else as it is.

    ``wandb.init`` adds to the object what is true of that run only.
    """
    given = getattr(settings, "model_fields_set", None)
    return settings if given is None else {name: getattr(settings, name) for name in given}


def without_secrets(settings: Any) -> dict[str, Any] | None:
    """Return settings of W&B as they may stand in a file; ``None`` where they are no mapping.

    Example:
        >>> without_secrets({"console": "off", "api_key": "s3cret"})
        {'console': 'off'}
    """
    if not isinstance(settings, Mapping):
        return None
    return {
        str(name): plain(value)
        for name, value in settings.items()
        if not any(word in str(name).lower() for word in _SECRET_WORDS)
    }


def is_frame(value: Any) -> bool:
    """Tell whether a value is a table of pandas or the like, or of W&B."""
    return hasattr(value, "columns") and (hasattr(value, "to_dict") or _is_of_wandb(value))


def is_image(value: Any) -> bool:
    """Tell whether a value is an image of PIL or W&B, or a figure of matplotlib."""
    return (
        type(value).__module__.startswith("PIL.")
        or hasattr(value, "savefig")
        or getattr(value, "_log_type", None) == "image-file"
    )


def table(columns: Any, data: Any) -> tuple[list[str], list[list[Any]]]:
    """Return the columns and rows of a table, all plain.

    Args:
        columns: The names of the columns; ``None`` for those that the data names itself.
        data: Rows (lists or mappings), an array, a DataFrame, a table of W&B, or a mapping of
            column to list.

    Raises:
        TypeError: It is none of these.

    Example:
        >>> table(["a", "b"], [(1, 2), {"b": 4}])
        (['a', 'b'], [[1, 2], [None, 4]])
        >>> table(None, {"a": [1, 3], "b": [2]})
        (['a', 'b'], [[1, 2], [3, None]])
    """
    if _is_of_wandb(data):
        columns, data = data.columns if columns is None else columns, data.data
    elif is_frame(data):
        data = data.to_dict("list")
    if isinstance(data, Mapping):
        named = {str(key): plain(list(values)) for key, values in data.items()}
        names = list(named) if columns is None else [str(one) for one in columns]
        longest = max((len(values) for values in named.values()), default=0)
        given = [named.get(name, []) for name in names]
        return names, [[_at(values, row) for values in given] for row in range(longest)]
    rows = plain(data)
    if not isinstance(rows, list):
        raise TypeError(f"a {type(data).__name__} is no table")
    if columns is None:
        columns = dict.fromkeys(key for row in rows if isinstance(row, dict) for key in row)
        columns = columns or range(max((len(row) for row in rows), default=0))
    names = [str(one) for one in columns]
    return names, [_cells(row, names) for row in rows]


def digest(value: Any) -> str:
    """Return a short name of a plain value, by what is in it.

    Example:
        >>> digest([[1, 2]]) == digest([(1, 2)]), digest([[1, 2]]) == digest([[2, 1]])
        (True, False)
    """
    return blake2b(encode(value).encode(), digest_size=8).hexdigest()


def _is_of_wandb(value: Any) -> bool:
    return hasattr(value, "_log_type") and isinstance(getattr(value, "data", None), list)


def _cells(row: Any, names: list[str]) -> list[Any]:
    if isinstance(row, dict):
        return [row.get(name) for name in names]
    return row if isinstance(row, list) else [row]


def _at(values: list[Any], row: int) -> Any:
    return values[row] if row < len(values) else None


def _item(mapping: Mapping[Any, Any], key: Any) -> Any:
    try:
        return mapping[key]
    except Exception as error:  # noqa: BLE001 - such as a value that OmegaConf calls missing
        return f"<{type(error).__name__}>"


def _text(value: Any) -> str:
    return plain_text if is_storable(plain_text := shown(value)) else ascii(plain_text)
