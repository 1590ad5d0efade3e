"""How far a copy is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from training_db.db.engine.streams import Row
    from training_db.db.report import Progress
    from training_db.transfer.copying.carried import Carried

_EVERY = 1_000  # rows between two reports


class Course:
    """Counts rows, and tells of them.

    Args:
        totals: How many rows each table of the source has.
        first_event: The id of the first event that the copy itself may add.
        progress: Takes a label, how much is done and how much there is.
    """

    def __init__(
        self, totals: Mapping[str, int], first_event: int, progress: Progress | None
    ) -> None:
        self.totals = totals
        self.first_event = first_event
        self._progress = progress
        self._done = dict.fromkeys(totals, 0)

    @property
    def rows(self) -> int:
        """How many rows there are to copy."""
        return sum(self.totals.values())

    def wait(self, line: str) -> None:
        """Tell that another program has to end first."""
        self.say(line)

    def say(self, line: str) -> None:
        """Tell what is being done, of which nobody knows how much there is."""
        if self._progress:
            self._progress(line, 0, 0)

    def compared(self, runs: int) -> None:
        """Tell how many runs were read back."""
        total = self.totals["training_runs"]
        if self._progress:
            self._progress("comparing runs", min(runs, total), total)

    def counting(
        self, sink: Callable[[Carried, Iterable[Row]], Any]
    ) -> Callable[[Carried, Iterable[Row]], Any]:
        """Return a sink that counts the rows of each table on their way."""
        if self._progress is None:
            return sink
        return lambda carried, rows: sink(carried, self._counted(carried.name, rows))

    def _counted(self, table: str, rows: Iterable[Row]) -> Iterator[Row]:
        done = self._done[table]
        for row in rows:
            yield row
            done += 1
            if done % _EVERY == 0:
                self._tell(table, done)
        self._done[table] = done
        self._tell(table, done)

    def _tell(self, table: str, done: int) -> None:
        total = self.totals[table]
        if self._progress and total:
            self._progress(f"copying {table}", min(done, total), total)
