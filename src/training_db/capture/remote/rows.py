"""The history that W&B's API scans, made batches of rows: each row once, in the order of steps."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.capture.captured import RowBatch
from training_db.capture.key_names import KeyNames, leaves
from training_db.capture.offline.json_values import FloatColumns
from training_db.errors import SourceUnavailable
from training_db.recording.rows import STEP
from training_db.segments import Column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from wandb.apis.public import HistoryScan, Run

    from training_db.capture.remote.client import WandBClient

PAGE_ROWS = (1_000, 50)
"""Rows to ask for at once; and where the server could not give as many."""

_BATCH_CELLS = 100_000
_NOT_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
"""What W&B's server answers where a number that JSON cannot write was logged."""


class RemoteRows:
    """The rows of one run, from the last one that is stored on.

    Args:
        client: Who asks for them.
        run: The run, with all that its server says of it.
        page_rows: About how many rows to ask for at once.
        stored: How many rows are stored.
        last_step: The step of the last of them, which the scan then begins with; ``None`` scans
            all rows, and passes over those that are stored but for the last.
        known_paths: For each metric that is stored of a nested key the parts of that key.

    Attributes:
        counts: Cells for each metric in the rows that were scanned so far, but for those that are
            stored and that the scan was not to begin with.
        rows: How many rows there are so far, those that are stored among them.
    """

    def __init__(
        self,
        client: WandBClient,
        run: Run,
        page_rows: int,
        stored: int = 0,
        last_step: int | None = None,
        known_paths: Mapping[str, list[str]] | None = None,
    ) -> None:
        self._client, self._run, self._page_rows = client, run, page_rows
        self._last_step = last_step
        self._yielded_from = max(stored - 1, 0)
        self._counted_from = 0 if last_step is None else stored
        self._names = KeyNames(known_paths)
        self._floats = FloatColumns()
        self.counts: Counter[str] = Counter()
        self.rows = 0 if last_step is None else self._yielded_from

    @property
    def paths(self) -> dict[str, list[str]]:
        """For each metric that stands for a nested key the parts of that key."""
        return self._names.paths

    def batches(self) -> Iterator[RowBatch]:
        """Scan the history, from where it is to begin to its end.

        Yields:
            Rows, some thousands at a time.

        Raises:
            SourceUnavailable: The server fails; what came before was yielded.
        """
        waiting: list[dict[str, Any]] = []
        pages = self._pages()
        while True:
            try:
                page = next(pages, None)
            except SourceUnavailable:
                yield from self._batch(waiting)
                raise
            waiting += page or ()
            if page is None or sum(map(len, waiting)) >= _BATCH_CELLS:
                yield from self._batch(waiting)
                waiting = []
            if page is None:
                return

    def _batch(self, rows: list[dict[str, Any]]) -> Iterator[RowBatch]:
        begin = self.rows
        self.rows += len(rows)
        found: dict[tuple[str, ...], tuple[list[int], list[Any]]] = {}
        for number, row in enumerate(rows, start=begin):
            for path, value in leaves(row):
                if value is None:
                    continue  # a file of W&B has it for each cell that was not logged
                cells = found.get(path)
                if cells is None:
                    cells = found[path] = [], []
                cells[0].append(number)
                cells[1].append(as_logged(value))
        columns: dict[str, Column] = {}
        first = max(begin, self._yielded_from)
        # Keys of a row come in any order; who is named first must not hang on that.
        for path in sorted(found):
            name = self._names.name(path)
            numbers = np.array(found[path][0], dtype=np.int64)
            self.counts[name] += len(numbers) - int(numbers.searchsorted(self._counted_from))
            start = int(numbers.searchsorted(first))
            if start < len(numbers):
                values = self._floats.array(name, found[path][1][start:])
                columns[name] = Column(numbers[start:], values)
        if self.rows > first:
            yield RowBatch(columns, (first, self.rows))

    def _pages(self) -> Iterator[list[dict[str, Any]]]:
        scan = self._client.ask(self._scan)
        while page := self._client.ask(lambda: _next_page(scan), lambda: scan.page_offset):
            self._client.note_use()
            yield _once_a_step(page)

    def _scan(self) -> HistoryScan:
        last, lines = last_step(self._run), line_count(self._run)
        stop = 1 + (summary_step(self._run) if last < 0 else last)
        # A page is a range of steps: where those count what an environment did, most would be
        # empty, and each costs a request.
        size = self._page_rows * max(math.ceil(stop / max(lines, 1)), 1)
        first = self._last_step or 0
        # The client's cache would not know that the run went on.
        if last < 0 < lines:
            from wandb.apis.public import HistoryScan

            # Rows without steps, or whose steps are not listed: scan_history() takes them for none.
            return HistoryScan(
                self._run,
                service_api=self._run._service_api,
                min_step=first,
                max_step=max(lines, stop),
                page_size=size,
                use_cache=False,
            )
        return self._run.scan_history(min_step=first, page_size=size, use_cache=False)


def as_logged(value: Any) -> Any:
    """Return a value as it was logged, where the server made a text of a number.

    Example:
        >>> as_logged("-Infinity"), as_logged("nan"), as_logged(3)
        (-inf, 'nan', 3)
    """
    return _NOT_FINITE.get(value, value) if type(value) is str else value


def last_step(run: Run) -> int:
    """Return the last step of a run, or -1 where its server knows none."""
    keys = getattr(run, "history_keys", None)
    step = keys.get("lastStep") if isinstance(keys, dict) else None
    return step if isinstance(step, int) else -1


def summary_step(run: Run) -> int:
    """Return the step that a run's summary has, or -1."""
    step = run.summary_metrics.get(STEP)
    return step if isinstance(step, int) else -1


def line_count(run: Run) -> int:
    """Return how many rows the server counts."""
    return getattr(run, "history_line_count", None) or 0


def _next_page(scan: HistoryScan) -> list[dict[str, Any]]:
    first = next(scan, None)
    if first is None:
        return []
    # No further than the page that came with it, for the next is another wait; and by next(), for
    # to iterate over a scan again starts it anew.
    return [first, *(next(scan) for _ in range(len(scan.rows) - scan.scan_offset))]


def _once_a_step(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put what has the same step together; rows from a file and live ones overlap.

    Example:
        >>> _once_a_step([{"_step": 3, "a": 1, "c": None}, {"b": 1}, {"_step": 3, "a": 1, "c": 2}])
        [{'_step': 3, 'a': 1, 'c': 2}, {'b': 1}]
    """
    by_step: dict[Any, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        step = row.get(STEP)
        known = by_step.setdefault((number,) if step is None else step, row)
        if known is not row:
            known |= {key: value for key, value in row.items() if known.get(key) is None}
    found = list(by_step.values())
    steps = [row[STEP] for row in found if STEP in row]
    if len(steps) == len(found) and steps != sorted(steps):
        found.sort(key=lambda row: row[STEP])
    return found
