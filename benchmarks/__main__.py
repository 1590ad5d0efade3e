"""Time everything and print one Markdown table; see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from benchmarks.analysis import time_analysis
from benchmarks.capture import time_capture
from benchmarks.comparison import print_comparisons
from benchmarks.copying import time_copying
from benchmarks.databases import BACKENDS, fresh, server
from benchmarks.disk import weigh
from benchmarks.history import time_history
from benchmarks.inserts import time_inserts
from benchmarks.memory import peak_memory
from benchmarks.mirror import time_mirror
from benchmarks.queries import growth, load, time_queries
from benchmarks.recorder import time_recorder
from benchmarks.startup import time_startup
from benchmarks.timing import Line, Timing, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = (10_000, 100_000)
RUNS = ("startup", "inserts", "queries")
HISTORIES = {
    "history": time_history,
    "recorder": time_recorder,
    "disk": weigh,
    "memory": peak_memory,
    "capture": time_capture,
    "mirror": time_mirror,
    "analysis": time_analysis,
    "copying": time_copying,
}


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = (*RUNS, *HISTORIES)
    parser.add_argument("--parts", nargs="+", choices=parts, default=parts)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    options = parser.parse_args()
    with server() as server_url:
        about_runs = {
            "startup": time_startup,
            "inserts": lambda: inserts(server_url, options.backends),
            "queries": lambda: queries(server_url, options.backends, options.sizes),
        }
        asked = [part for part in options.parts if part in RUNS]
        if asked:
            print_table(line for part in asked for line in about_runs[part]())
            print()
        asked = [part for part in options.parts if part in HISTORIES]
        if asked:
            print_comparisons(
                line
                for part in asked
                for backend in options.backends
                for line in HISTORIES[part](backend, server_url)
            )


def inserts(server_url: str, backends: list[str]) -> Iterator[Line]:
    """Time inserts on each backend."""
    for backend in backends:
        with fresh(backend, server_url, "inserts") as url:
            yield from time_inserts(url, backend)


def queries(server_url: str, backends: list[str], sizes: list[int]) -> Iterator[Line]:
    """Time listings on each backend, at each size and from one size to the next."""
    for backend in backends:
        known: dict[str, Timing] = {}
        for size in sizes:
            with fresh(backend, server_url, f"queries_{size}") as url:
                print(f"loading {size:,} runs into {backend} ...", file=sys.stderr, flush=True)
                load(url, size)
                for name, line in time_queries(url, f"{backend}, {size:,} runs"):
                    yield line
                    if name in known:
                        yield growth(name, backend, known[name], line.ours)
                    known[name] = line.ours


if __name__ == "__main__":
    main()
