"""Which way is better, in the words that people write."""

from __future__ import annotations

from typing import Literal

from training_db.errors import UnknownName

Direction = Literal["maximize", "minimize"]

_WORDS: dict[str, Direction] = {
    "max": "maximize", "maximize": "maximize", "maximise": "maximize",
    "min": "minimize", "minimize": "minimize", "minimise": "minimize",
}  # fmt: skip


def direction_word(word: object) -> Direction:
    """Return ``"maximize"`` or ``"minimize"`` for one of the words that mean it.

    Raises:
        UnknownName: It means neither.

    Example:
        >>> direction_word("Min")
        'minimize'
    """
    meant = _WORDS.get(word.strip().lower()) if isinstance(word, str) else None
    if meant is None:
        raise UnknownName("direction", word, ("max", "maximize", "min", "minimize"))
    return meant


def direction_if_said(word: object) -> Direction | None:
    """Return what :func:`direction_word` does; ``None`` where nothing is said.

    Raises:
        UnknownName: It means neither.
    """
    return None if word is None else direction_word(word)
