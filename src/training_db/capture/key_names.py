"""Keys that are paths, and the metrics they are stored as.

W&B takes nested dicts and calls their leaves by a path: ``{"n": {"d": 1}}`` has the leaf
``("n", "d")``, and ``{"n.d": 1}`` the leaf ``("n.d",)``. Both are shown as ``n.d``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING, Any

from training_db.recording.rows import metric_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Path = tuple[str, ...]

MEDIA_TYPE = "_type"
"""The key by which W&B tells a dict that stands for a medium from a nested one."""


class KeyNames:
    """The names of the metrics of one run, each for one path.

    Args:
        known_paths: For each name that is given away the parts of its key; those that are missing
            stand for a key that reads like them.
        reserved: Names that no key has, for columns of every history have them.

    Example:
        >>> names = KeyNames()
        >>> names.name(("loss",)), names.name(("n", "d")), names.name(("n.d",))
        ('loss', 'n.d', '["n.d"]')
        >>> names.paths
        {'n.d': ['n', 'd'], '["n.d"]': ['n.d']}
        >>> KeyNames({"n.d": ["n", "d"]}).name(("n.d",))
        '["n.d"]'
    """

    def __init__(
        self,
        known_paths: Mapping[str, Iterable[str]] | None = None,
        reserved: Iterable[str] = (),
    ) -> None:
        known = {name: tuple(path) for name, path in (known_paths or {}).items()}
        self._names = {path: name for name, path in known.items()}
        self._owners: dict[str, Path] = dict.fromkeys(reserved, ()) | known

    def name(self, path: Path) -> str:
        """Return the name of the metric that a path is stored as.

        Args:
            path: The parts of the key, at least one.

        Returns:
            The parts joined by dots; where another path has that name already, their JSON list.
        """
        name = self._names.get(path)
        if name is None:
            name = next(one for one in _candidates(path) if one not in self._owners)
            self._names[path] = name
            self._owners[name] = path
        return name

    @property
    def paths(self) -> dict[str, list[str]]:
        """For each metric whose name is not simply its key the parts of that key."""
        return {name: list(path) for path, name in self._names.items() if path != (name,)}


def _candidates(path: Path) -> Iterator[str]:
    yield metric_name(".".join(path))
    listed = json.dumps(path, ensure_ascii=False, separators=(",", ":"))
    yield metric_name(listed)
    for number in count(2):
        yield metric_name(f"{number} {listed}")


def leaves(row: Mapping[Any, Any]) -> Iterator[tuple[Path, Any]]:
    """Take a row apart into values that are no nested dicts.

    Args:
        row: Keys and values as they were logged. Keys that are no text become text.

    Returns:
        The path of each value, and the value. A dict with ``_type``, which stands for a medium,
        and an empty dict are values.

    Example:
        >>> list(leaves({"n": {"d": 1, "e": {}}, 7: {"_type": "histogram"}}))
        [(('n', 'd'), 1), (('n', 'e'), {}), (('7',), {'_type': 'histogram'})]
    """
    return _leaves(row, ())


def _leaves(row: Mapping[Any, Any], above: Path) -> Iterator[tuple[Path, Any]]:
    for key, value in row.items():
        path = (*above, str(key))
        if is_nested(value):
            yield from _leaves(value, path)
        else:
            yield path, value


def is_nested(value: object) -> bool:
    """Tell whether a value is a dict of further values, and not one value itself."""
    return isinstance(value, Mapping) and bool(value) and MEDIA_TYPE not in value


def nested(cells: Iterable[tuple[Path, Any]]) -> dict[str, Any]:
    """Put a row together again, of which :func:`leaves` made cells.

    Args:
        cells: Paths and values. Where one path has a value and others go on below it, those are
            put beside it, under their parts joined by dots.

    Example:
        >>> nested([(("n", "d"), 1), (("n", "e"), {}), (("a",), 2), (("a", "b"), 3)])
        {'n': {'d': 1, 'e': {}}, 'a': 2, 'a.b': 3}
    """
    values = dict(cells)
    names = KeyNames({path[0]: path for path in values if len(path) == 1})
    row: dict[str, Any] = {}
    for path, value in values.items():
        if any(path[:length] in values for length in range(1, len(path))):
            row[names.name(path)] = value
            continue
        place = row
        for part in path[:-1]:
            place = place.setdefault(part, {})
        place[path[-1]] = value
    return row
