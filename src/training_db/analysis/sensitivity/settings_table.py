"""The settings of many runs as columns that can be compared, whatever they hold."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.analysis.sensitivity.ranks import ranks
from training_db.analysis.sensitivity.run_settings import run_settings
from training_db.errors import InvalidValue, UnknownName
from training_db.extraction_values import as_number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

MISSING = "(missing)"
_OTHERS = "(others)"
_MOST_LEVELS = 12
_SHOWN = 40


@dataclass(frozen=True, eq=False)
class Setting:
    """One setting over some runs.

    Attributes:
        name: Its path in the config.
        kind: ``"numeric"``, ``"bool"`` or ``"categorical"``.
        values: float64 of shape (runs,): for numbers their place among the numbers that there are,
            NaN where a run has none; else the place in ``levels``.
        levels: The words, in order; empty for numbers.
    """

    name: str
    kind: str
    values: NDArray[np.float64]
    levels: tuple[str, ...] = ()

    @property
    def is_ordered(self) -> bool:
        """Whether more and less mean something: numbers, and what is one of two."""
        return self.kind == "numeric" or len(self.levels) == 2

    @cached_property
    def ranks(self) -> NDArray[np.float64]:
        """Its ranks, see :func:`training_db.analysis.sensitivity.ranks.ranks`."""
        return ranks(self.values)

    @cached_property
    def codes(self) -> NDArray[np.intp]:
        """Which of its different values each run has, counted from 0; missing is one of them."""
        return np.unique(self.values, return_inverse=True)[1]

    @cached_property
    def count(self) -> int:
        """How many different values it has."""
        return int(self.codes.max(initial=-1)) + 1


@dataclass(frozen=True, slots=True, eq=False)
class SettingsTable:
    """The settings of some runs.

    Attributes:
        settings: Those that differ between the runs.
        left_out: The others, and why they are left out.
    """

    settings: tuple[Setting, ...]
    left_out: tuple[tuple[str, str], ...]


def settings_table(
    runs: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None
) -> SettingsTable:
    """Put the settings of runs into columns.

    Numbers become their ranks, so that a scale, logarithmic or not, and a value like 1e308 change
    nothing. Texts that are numbers, as YAML makes of 1e-4, are numbers. A run that lacks a setting
    keeps its place: that is a value of its own for words, and NaN for numbers.

    Args:
        runs: As ``db.runs.query`` returns them.
        names: These settings only.

    Returns:
        The settings. Left out are those that are the same in all runs, and words that are another
        in more than half of the runs, such as paths and ids. Of words beyond the 11 most frequent
        no more is kept than that they are others.

    Raises:
        UnknownName: A name that no run has a setting by.
        InvalidValue: The names are no texts.

    Example:
        >>> runs = [{"config_json": json.dumps({"lr": lr, "steps": 9})} for lr in (0.1, 1e-3)]
        >>> table = settings_table(runs)
        >>> [(one.name, one.kind, one.values.tolist()) for one in table.settings]
        [('lr', 'numeric', [1.0, 0.0])]
        >>> table.left_out
        (('steps', 'it is 9 in all runs'),)
    """
    rows = [run_settings(run) for run in runs]
    present = list(dict.fromkeys(name for row in rows for name in row))
    settings: list[Setting] = []
    left_out: list[tuple[str, str]] = []
    for name in present if names is None else _checked(names, present):
        made = _setting(name, [row.get(name) for row in rows])
        if isinstance(made, str):
            left_out.append((name, made))
        else:
            settings.append(made)
    return SettingsTable(tuple(settings), tuple(left_out))


def _checked(names: Sequence[str], present: Sequence[str]) -> list[str]:
    if not isinstance(names, Iterable):
        raise InvalidValue(f"the settings are {names!r}; pass their paths in the config")
    wanted = [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if not isinstance(name, str):
            raise InvalidValue(f"the setting {name!r} is no text; pass its path in the config")
        if name not in present:
            raise UnknownName("setting", name, sorted(present))
    return list(dict.fromkeys(wanted))


def _setting(name: str, values: list[Any]) -> Setting | str:
    """Return a column, or why there is none."""
    values = [None if _is_nan(value) else value for value in values]
    present = [value for value in values if value is not None]
    if not present:
        return "no run has a value of it"
    numbers = {_number(value) for value in present}
    if None not in numbers and len(numbers) > 1:
        return Setting(name, "numeric", _places([_number(value) for value in values]))
    words = [MISSING if value is None else _word(value) for value in values]
    counts = Counter(words)
    if len(counts) == 1:
        return f"it is {_shortened(words[0])} in all runs"
    if len(counts) > max(2, len(words) / 2):
        return f"it has {len(counts)} values in {len(words)} runs, as an id or a path has"
    is_bool = all(isinstance(value, bool) for value in values)
    return _categorical(name, "bool" if is_bool else "categorical", words, counts)


def _categorical(name: str, kind: str, words: list[str], counts: Counter[str]) -> Setting:
    if len(counts) > _MOST_LEVELS:
        kept = {word for word, _ in counts.most_common(_MOST_LEVELS - 1)}
        words = [word if word in kept else _OTHERS for word in words]
    levels, codes = np.unique(words, return_inverse=True)
    return Setting(name, kind, codes.astype(np.float64), tuple(map(str, levels)))


def _places(numbers: list[float | None]) -> NDArray[np.float64]:
    values = np.array([math.nan if one is None else one for one in numbers])
    there = ~np.isnan(values)
    places = np.full(len(values), np.nan)
    places[there] = np.unique(values[there], return_inverse=True)[1]
    return places


def _number(value: Any) -> float | None:
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    number = as_number(value)
    return None if number is None or math.isnan(number) else number


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _shortened(word: str) -> str:
    return word if len(word) <= _SHOWN else f"{word[: _SHOWN - 3]}..."
