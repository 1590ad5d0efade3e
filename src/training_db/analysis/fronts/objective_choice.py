"""Which objectives somebody asks for, and which way each is better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from training_db.analysis.direction import direction_if_said, direction_word
from training_db.errors import InvalidValue
from training_db.repository.arguments import list_of
from training_db.repository.filters import ObjectiveField

if TYPE_CHECKING:
    from training_db.analysis.direction import Direction
    from training_db.repository.filters import Field

Asked = dict[str, str | None]
Objectives = Mapping[str, str | None] | Iterable[str]


class NoDirection(InvalidValue):
    """Nobody says, or runs do not agree, which way something is better.

    Args:
        reason: What is not known.
        name: Of which number; ``None`` where none is named.

    Example:
        >>> str(NoDirection("runs do not agree", "SA"))
        "runs do not agree; say 'max' or 'min' of it"
    """

    def __init__(self, reason: str, name: str | None = None) -> None:
        named = "say 'max' or 'min' of it"
        unnamed = "name objectives and directions, such as {'QED': 'max'}"
        super().__init__(f"{reason}; {unnamed if name is None else named}")
        self.reason = reason
        self.name = name


def asked_objectives(objectives: Objectives | None) -> Asked | None:
    """Return objectives with ``"maximize"``, ``"minimize"`` or, where nothing is said, ``None``.

    Args:
        objectives: A mapping of names to directions, or names alone.

    Returns:
        ``None`` where no objectives are named.

    Raises:
        InvalidValue: A name that is no text, or an empty choice.
        UnknownName: A direction that does not exist.

    Example:
        >>> asked_objectives({"QED": "max", "SA": None})
        {'QED': 'maximize', 'SA': None}
    """
    if objectives is None:
        return None
    if isinstance(objectives, str):
        objectives = [objectives]
    names = list_of(objectives, "names, or mapping of names to directions")
    for name in names:
        if not isinstance(name, str) or not name:
            raise InvalidValue(f"the objective {name!r} is no name; pass text, such as 'QED'")
    if not names:
        raise InvalidValue("no objective is named; name one at least, such as {'QED': 'max'}")
    if not isinstance(objectives, Mapping):
        objectives = dict.fromkeys(names)
    return {name: direction_if_said(word) for name, word in objectives.items()}


def stored_direction(name: str, meant: Field, stored: Mapping[str, Mapping[str, str]]) -> Direction:
    """Return which way runs call a number better.

    Args:
        name: The number, as somebody typed it.
        meant: What that is.
        stored: As ``db.objectives.directions`` returns it.

    Raises:
        NoDirection: No run has stored it, two runs have stored different ones, or the direction
            is that of another number: more of a normalized mean is better as a rule, whichever way
            the raw one is.
        UnknownName: What is stored is no direction.

    Example:
        >>> stored_direction("SA", ObjectiveField("SA"), {"SA": {"minimize": "r1"}})
        'minimize'
    """
    if not isinstance(meant, ObjectiveField):
        return agreed_direction(name, {})
    if meant.statistic != "raw_mean":
        raise NoDirection(
            f"the direction that runs have stored of {meant.name!r} is that of its raw_mean, and "
            f"its {meant.statistic} is asked for",
            name,
        )
    return agreed_direction(name, stored.get(meant.name, {}))


def agreed_direction(name: str, stored: Mapping[str, str]) -> Direction:
    """Return the direction that runs have stored for an objective.

    Args:
        name: The objective.
        stored: Each direction that a run has stored, and one such run.

    Raises:
        NoDirection: No run has stored one, or two have stored different ones.
        UnknownName: What is stored is no direction.

    Example:
        >>> agreed_direction("SA", {"minimize": "r1", "min": "r2"})
        'minimize'
    """
    runs = {direction_word(word): run_id for word, run_id in stored.items()}
    if len(runs) > 1:
        said = " and ".join(f"run {run_id!r} says {word}" for word, run_id in sorted(runs.items()))
        raise NoDirection(
            f"the runs that match do not agree which way {name!r} is better: {said}", name
        )
    for word in runs:
        return word
    raise NoDirection(f"no run that matches has stored which way {name!r} is better", name)
