"""Documents that are written bit by bit: the config and the summary of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from training_db.capture.offline.items import VALUE, is_key, key_of, path_and_value
from training_db.capture.offline.json_values import sound_key, value_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Path = tuple[str, ...]

_DEEPEST = 100


class Document:
    """What updates and removals of keys leave.

    Args:
        name: What it is, for the words about damage.

    Attributes:
        damage: What could not be read, as far as :meth:`value` has looked.

    Example:
        >>> config = Document("config")
        >>> config.put(("opt", "lr"), b"0.1", 1)
        >>> config.put(("opt",), b"{}", 0)
        >>> config.value()
        {'opt': {'lr': 0.1}}
    """

    __slots__ = ("_items", "_name", "_puts", "damage")

    def __init__(self, name: str) -> None:
        self.damage: dict[str, None] = {}
        self._name = name
        # What a later update of the same key replaces is forgotten: what it did in between, the
        # later one does again.
        self._items: dict[bytes, tuple[int, bytes]] = {}
        self._puts: dict[Path, tuple[int, bytes | None]] = {}

    def update(self, items: Iterable[bytes], order: int) -> None:
        """Take the updates of a record, which are read when somebody asks for the value.

        Args:
            items: The bytes of the items.
            order: The place of the record in the file.
        """
        known = self._items
        for item in items:
            head = item.partition(VALUE)[0]
            if head not in known and not is_key(head):
                head = key_of(item) or item  # a typed value, or a length that reads like the tag
            known[head] = order, item

    def remove(self, items: Iterable[bytes], order: int) -> None:
        """Take the removals of a record; the arguments are those of :meth:`update`."""
        for item in items:
            found = path_and_value(item)
            if found:
                self.put(found[0], None, order)

    def put(self, path: Path, raw: bytes | None, order: int) -> None:
        """Take the value that a row has.

        Args:
            path: The parts of its key.
            raw: Its JSON text; ``None`` where the key is removed.
            order: Its place in the file.
        """
        if path not in self._puts or self._puts[path][0] <= order:
            self._puts[path] = order, raw

    def value(self) -> dict[str, Any]:
        """Return the document as it is after all that was taken."""
        root: dict[str, Any] = {}
        for _order, path, raw in sorted(self._changes(), key=lambda change: change[0]):
            *above, key = (sound_key(part) for part in _shortened(path))
            place = root
            for part in above:
                below = place.get(part)
                if not isinstance(below, dict):
                    if raw is None:
                        break
                    below = place[part] = {}
                place = below
            else:
                if raw is None:
                    place.pop(key, None)
                    continue
                place[key], fault = value_of(raw)
                if fault and path not in self._puts:  # of values in rows it is known
                    self.damage[f"{self._name} {'.'.join(path)}: {fault}"] = None
        return root

    def _changes(self) -> Iterator[tuple[int, Path, bytes | None]]:
        for order, item in self._items.values():
            found = path_and_value(item)
            if found:
                yield order, *found
            else:
                self.damage[f"{self._name}: {item[:60]!r} is no item"] = None
        for path, (order, raw) in self._puts.items():  # a record removes after it has updated
            yield order, path, raw


def _shortened(path: Path) -> Path:
    return path if len(path) <= _DEEPEST else (*path[:_DEEPEST], ".".join(path[_DEEPEST:]))
