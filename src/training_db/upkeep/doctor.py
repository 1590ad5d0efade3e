"""The doctor: looks a database over, and says what is wrong and how it is mended.

Nothing is changed by looking, not a byte of a SQLite file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from training_db.db.engine.health import looking
from training_db.errors import TrainingDBError
from training_db.settings import STATEMENT_TIMEOUT, resolve_url, spool_settings
from training_db.upkeep.checks.integrity import check_integrity
from training_db.upkeep.checks.life import check_clocks, check_runs, check_spools
from training_db.upkeep.checks.place import check_disk, check_place
from training_db.upkeep.checks.plans import check_plans
from training_db.upkeep.checks.rows import check_history, check_orphans
from training_db.upkeep.checks.schema import check_copy, check_indexes, check_schema
from training_db.upkeep.checks.server import check_server
from training_db.upkeep.findings import Case, Finding, Severity, place_for_commands

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    from sqlalchemy import URL

    from training_db.db.report import Progress

    Check = Callable[[Case], Iterable[Finding]]

_OF_FILES: tuple[Check, ...] = (check_disk, check_integrity)
_OF_ROWS: tuple[Check, ...] = (
    check_indexes, check_orphans, check_history, check_runs, check_clocks, check_plans,
)  # fmt: skip
_OF_SURROUNDINGS: tuple[Check, ...] = (check_spools, check_server)


def examine(
    place: str | os.PathLike[str] | URL | None = None,
    *,
    is_thorough: bool = False,
    spools: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> list[Finding]:
    """Look a database over; change nothing.

    Args:
        place: Where it is: a URL, the path of a SQLite file, or ``None`` for what the environment
            says.
        is_thorough: Whether to read everything: all histories decoded, all indexes compared.
        spools: The folder of the spools; ``None`` for where recorders put them.
        progress: Takes the name of each check, how many are done and how many there are.

    Returns:
        What was found, check by check. A database that is missing, damaged or somebody else's is a
        finding, too.

    Raises:
        ConfigurationError: The URL cannot work.

    Example:
        >>> from training_db import init_db
        >>> path = getfixture("tmp_path") / "runs.db"
        >>> [(one.severity.value, one.mend.split()[1]) for one in examine(path)]
        [('fault', 'upgrade')]
        >>> init_db(path)
        >>> any(one.severity.needs_care for one in examine(path))
        False
    """
    url = resolve_url(place)
    folder = spool_settings()[0] if spools is None else Path(spools).expanduser().absolute()
    shown = "" if place is None else place_for_commands(url)
    engine = looking(url.difference_update_query([STATEMENT_TIMEOUT]))
    try:
        return _Examination(Case(url, engine, shown, is_thorough, folder), progress).run()
    finally:
        engine.dispose()


class _Examination:
    def __init__(self, case: Case, progress: Progress | None) -> None:
        self._case, self._progress = case, progress
        self._found: list[Finding] = []

    def run(self) -> list[Finding]:
        if self._is_sound([check_place]):
            self._is_sound(_OF_FILES)
            # Its indexes are off on purpose until it goes on.
            is_complete = self._is_sound([check_copy])
            if is_complete and (self._is_sound([check_schema]) or self._has_its_tables()):
                self._is_sound(_OF_ROWS)
            self._is_sound(_OF_SURROUNDINGS)
        return self._found

    def _is_sound(self, checks: Iterable[Check]) -> bool:
        """Make some checks; tell whether none of them found a fault."""
        before = len(self._found)
        for check in checks:
            name = check.__name__.removeprefix("check_")
            if self._progress is not None:
                self._progress(f"looking at: {name}", 0, 0)
            try:
                self._found.extend(check(self._case))
            except Exception as error:  # noqa: BLE001 - damaged rows fail in any way
                # The other questions are asked all the same.
                why = str(error) if isinstance(error, TrainingDBError) else repr(error)
                what = f"this could not be looked at: {why}"
                self._found.append(Finding(name, Severity.FAULT, what))
        return all(one.severity is not Severity.FAULT for one in self._found[before:])

    def _has_its_tables(self) -> bool:
        """Tell whether what the schema lacks can be made anew: then the rows are looked at, too."""
        faults = [
            one for one in self._found if one.check == "schema" and one.severity is Severity.FAULT
        ]
        return all(" --mend schema" in (one.mend or "") for one in faults)
