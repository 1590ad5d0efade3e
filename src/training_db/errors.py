"""Every error this library raises, as one tree.

::

    TrainingDBError
    ├── ConfigurationError (ValueError)      a setting or URL that cannot work
    ├── MissingExtra (ImportError)           an optional dependency is not installed
    ├── SchemaError                          the database's tables are not what this version needs
    │   ├── SchemaMissing                    there is no schema yet
    │   ├── SchemaOutdated                   an older version: upgrade it
    │   ├── SchemaNewer                      a newer version: upgrade this package
    │   ├── ForeignTable                     a table of ours by name, but not by its columns
    │   └── MigrationFailed                  a migration stopped, and nothing was changed
    ├── InvalidInput (ValueError)
    │   ├── InvalidValue                     a value that no column can hold
    │   │   └── UnreadableSource             a file that is not what it should be
    │   ├── UnknownName (KeyError)           a column, status, filter or order that does not exist
    │   └── FilterSyntaxError                a filter text that cannot be read
    ├── NotFound (KeyError)
    │   ├── RunNotFound
    │   ├── MetricNotFound
    │   └── ObjectiveNotFound
    ├── Conflict                             what should be unique is there already
    │   └── RunExists
    ├── SourceUnavailable (ConnectionError)  a server whose runs are asked for does not answer
    └── DatabaseError                        what the driver reported, in one line
        └── DatabaseUnavailable (ConnectionError)

Each message says what was wrong, with which value, and what to do next. Errors that resemble a
built-in are that built-in too, so ``except KeyError`` finds a missing run.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


_SHOWN_NAMES = 20
_SHOWN_VALID = 80  # all columns of a run


class TrainingDBError(Exception):
    """The root: ``except TrainingDBError`` catches everything this library raises on purpose."""

    def __str__(self) -> str:
        # KeyError would print the repr of its argument; our messages are sentences.
        return str(self.args[0]) if self.args else self.__class__.__name__

    def __reduce__(self) -> tuple[Any, ...]:
        # Some classes make their message of other arguments, so a copy is not made by calling them.
        return _rebuilt, (self.__class__, self.args)


def _rebuilt(kind: type[TrainingDBError], arguments: tuple[Any, ...]) -> TrainingDBError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    return error


class ConfigurationError(TrainingDBError, ValueError):
    """A setting, environment variable or connection URL that cannot work."""


class MissingExtra(TrainingDBError, ImportError):
    """An optional dependency is needed and not installed."""


class SchemaError(TrainingDBError):
    """The database's tables are not what this version of the library needs."""


class SchemaMissing(SchemaError):
    """There is no training-db schema at this place yet."""


class SchemaOutdated(SchemaError):
    """The schema is older than this version of the library needs."""


class SchemaNewer(SchemaError):
    """The schema is of a version that this library does not know."""


class ForeignTable(SchemaError):
    """A table carries one of our names but belongs to something else; it was left untouched."""


class MigrationFailed(SchemaError):
    """A migration stopped; the transaction was rolled back and the old version is whole."""


class InvalidInput(TrainingDBError, ValueError):
    """Something the caller passed cannot be used."""


class InvalidValue(InvalidInput):
    """A value that cannot be stored or compared, named with where it stands."""


class UnreadableSource(InvalidValue):
    """A file or database that runs were to be taken from, and that is none of its kind."""


class UnknownName(InvalidInput, KeyError):
    """A name that does not exist; the message lists the valid ones.

    Args:
        kind: What was looked for, such as ``"column"``.
        name: What the caller wrote.
        valid: The names that would have worked.

    Example:
        >>> str(UnknownName("status", "done", ["completed", "failed"]))
        "unknown status 'done'; valid are: completed, failed"
    """

    def __init__(self, kind: str, name: object, valid: Iterable[str]) -> None:
        names = [str(one) for one in valid]
        listed = _listed(names, _SHOWN_VALID)
        super().__init__(
            f"unknown {kind} {name!r}{_hint(name, names)}; valid are: {listed or 'none'}"
        )


class FilterSyntaxError(InvalidInput):
    """A filter text that cannot be read; the message points at the place."""


class NotFound(TrainingDBError, KeyError):
    """Something was asked for by its id and is not there."""


class RunNotFound(NotFound):
    """No run has this id.

    Example:
        >>> str(RunNotFound("r1"))
        "there is no run 'r1'; `training-db runs list` shows the runs there are"
    """

    def __init__(self, run_id: object) -> None:
        super().__init__(
            f"there is no run {run_id!r}; `training-db runs list` shows the runs there are"
        )


class ObjectiveNotFound(NotFound):
    """The run has no objective of this name; the message lists those it has."""

    def __init__(self, run_id: str, name: object, present: Iterable[str]) -> None:
        listed = ", ".join(present) or "none"
        super().__init__(
            f"run {run_id!r} has no objective {name!r} (it has: {listed}); "
            f"insert_objective({run_id!r}, {name!r}) adds it"
        )


class MetricNotFound(NotFound):
    """No history has a metric of this name; the message lists some that there are."""

    def __init__(self, name: object, present: Iterable[str]) -> None:
        names = [str(one) for one in present]
        listed = _listed(names, _SHOWN_NAMES)
        super().__init__(
            f"there is no metric {name!r}{_hint(name, names)}; there are: {listed or 'none'}"
        )


class Conflict(TrainingDBError):
    """Something that has to be unique is there already."""


class RunExists(Conflict):
    """A run with this id, or with this W&B id, is there already."""


class SourceUnavailable(TrainingDBError, ConnectionError):
    """A server whose runs are asked for cannot be reached, refuses, or answers with errors."""


class DatabaseError(TrainingDBError):
    """What the database driver reported, in one line and without passwords."""


class DatabaseUnavailable(DatabaseError, ConnectionError):
    """The database cannot be reached, is locked by others, or ended the connection."""


def _hint(name: object, names: list[str]) -> str:
    lower = {one.lower(): one for one in names}
    close = get_close_matches(str(name), names, n=1) or [
        lower[one] for one in get_close_matches(str(name).lower(), lower, n=1)
    ]
    return f" (did you mean {close[0]!r}?)" if close else ""


def _listed(names: list[str], most: int) -> str:
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")
