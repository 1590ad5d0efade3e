"""How many writes a second several processes get through together, and how long they wait."""

from __future__ import annotations

import multiprocessing
import time
from typing import Any

import numpy as np

from benchmarks.scale.loading import run_id
from training_db import TrainingDB

SECONDS = 5.0


def crowd(url: str, processes: int, size: int) -> tuple[float, float]:
    """Let processes change runs for some seconds.

    Args:
        url: The database.
        processes: How many write at once.
        size: How many runs there are.

    Returns:
        Writes a second of all together, and the 99th percentile of the seconds of one write.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    arguments = [(url, barrier, number * size // processes) for number in range(processes)]
    with context.Manager() as manager:
        waits = manager.list()
        workers = [context.Process(target=_write, args=(*one, waits)) for one in arguments]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        taken = np.concatenate([np.asarray(one) for one in waits])
    return len(taken) / SECONDS, float(np.quantile(taken, 0.99))


def _write(url: str, barrier: Any, number: int, waits: Any) -> None:
    taken = []
    with TrainingDB(url) as db:
        db.runs.beat(run_id(number))
        barrier.wait()
        end = time.perf_counter() + SECONDS
        while (started := time.perf_counter()) < end:
            db.runs.beat(run_id(number))
            taken.append(time.perf_counter() - started)
    waits.append(taken)
