"""Several connections that write side by side, where one would keep the server waiting for itself.

A server does the work of one connection in one process: it is that process, and not we, that a copy
waits for. What is read by one thread is written by others, a batch of whole runs in a transaction.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import cycle
from typing import TYPE_CHECKING, Any

from training_db.db.engine.streams import interrupt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from sqlalchemy import Connection

    from training_db.db.engine.streams import Row
    from training_db.transfer.copying.carried import Carried
    from training_db.transfer.copying.carrying import Sink

    Opens = Callable[[], AbstractContextManager[Connection]]
    Writes = Callable[[Connection], Sink]

_LANES = 2
_CHUNK = 1 << 20  # bytes, about: what is handed on at once
_WAITING = 32 << 20  # bytes, about: what waits in a lane, enough for a second of its work
_OF_A_ROW = 100  # bytes, besides its texts


class Lanes:
    """Writes batches, each in a lane of its own, and one after the other in each lane.

    Args:
        opens: Opens a transaction, which is committed at its end.
        writes: Returns what writes rows of a table in a transaction.
        side_by_side: Whether several transactions can write at once; otherwise there are no lanes,
            and each batch is committed before the next.
    """

    def __init__(self, opens: Opens, writes: Writes, *, side_by_side: bool) -> None:
        self._opens = opens
        self._writes = writes
        self._lanes = [_Lane(opens, writes) for _ in range(_LANES if side_by_side else 0)]
        self._turns = cycle(self._lanes)

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        """Wait until everything is committed; after an error, take back what is not."""
        with ExitStack() as ends:
            for lane in self._lanes:
                ends.callback(lane.close)
            if kind is None:
                for lane in self._lanes:
                    lane.wait()

    @contextmanager
    def batch(self) -> Iterator[Sink]:
        """Open a transaction, and yield what takes its rows; it is committed some time later.

        What goes wrong in a lane is raised here, or at the end of all lanes.
        """
        if not self._lanes:
            with self._opens() as connection:
                yield self._writes(connection)
            return
        lane = next(self._turns)
        lane.begin()
        yield lane.write
        lane.commit()


class _Lane:
    """A thread, and the connection that it writes to.

    Transactions are opened by the thread of the copy, which can be interrupted while it waits.
    """

    def __init__(self, opens: Opens, writes: Writes) -> None:
        self._opens = opens
        self._writes = writes
        self._thread = ThreadPoolExecutor(1, "copy")
        self._given: deque[tuple[Future[Any], int]] = deque()
        self._bytes = 0
        self._has_failed = False
        self._transaction: AbstractContextManager[Connection] | None = None
        self._connection: Connection | None = None

    def begin(self) -> None:
        self.wait()
        transaction = self._opens()
        self._connection = transaction.__enter__()
        self._transaction = transaction
        self._write = self._writes(self._connection)

    def write(self, carried: Carried, rows: Iterable[Row]) -> None:
        for size, chunk in _chunks(carried, rows):
            self._give(partial(self._write, carried, chunk), size)
            self.wait(_WAITING)

    def commit(self) -> None:
        self._give(self._end, 0)

    def wait(self, most: int = -1) -> None:
        """Wait until there is no more to write than so many bytes."""
        while self._given and self._bytes > most:
            job, size = self._given[0]
            job.result()
            self._given.popleft()
            self._bytes -= size

    def close(self) -> None:
        """Take back what is not committed, without waiting for more than must be."""
        for job, _ in self._given:
            job.cancel()
        if self._connection is not None and any(job.running() for job, _ in self._given):
            interrupt(self._connection)
        self._thread.shutdown()
        self._end(_TakenBack())

    def _give(self, job: Callable[[], object], size: int) -> None:
        self._given.append((self._thread.submit(self._do, job), size))
        self._bytes += size

    def _do(self, job: Callable[[], object]) -> None:
        if self._has_failed:  # half a batch is not to be committed
            return
        try:
            job()
        except BaseException:
            self._has_failed = True
            raise

    def _end(self, error: BaseException | None = None) -> None:
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.__exit__(type(error) if error else None, error, None)
        self._connection = None


class _TakenBack(Exception):
    """Ends a transaction that is not to be committed."""


def _chunks(carried: Carried, rows: Iterable[Row]) -> Iterator[tuple[int, list[Row]]]:
    """Yield rows in lists of some size, and the size."""
    texts = [at for at, kind in enumerate(carried.kinds) if kind in ("text", "bytes", "any")]
    chunk: list[Row] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += _OF_A_ROW + sum([len(row[at]) for at in texts if row[at] is not None])
        if size >= _CHUNK:
            yield size, chunk
            chunk, size = [], 0
    if chunk:
        yield size, chunk
