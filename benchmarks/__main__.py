"""Time everything and print one Markdown table; see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from benchmarks.databases import BACKENDS, fresh, server
from benchmarks.inserts import time_inserts
from benchmarks.queries import growth, load, time_queries
from benchmarks.startup import time_startup
from benchmarks.timing import Line, Timing, print_table

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = (10_000, 100_000)


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=["startup", "inserts", "queries"])
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    options = parser.parse_args()
    with server() as server_url:
        parts = {
            "startup": time_startup,
            "inserts": lambda: inserts(server_url),
            "queries": lambda: queries(server_url, options.sizes),
        }
        print_table(line for part in options.parts for line in parts[part]())


def inserts(server_url: str) -> Iterator[Line]:
    """Time inserts on each backend."""
    for backend in BACKENDS:
        with fresh(backend, server_url, "inserts") as url:
            yield from time_inserts(url, backend)


def queries(server_url: str, sizes: list[int]) -> Iterator[Line]:
    """Time listings on each backend, at each size and from one size to the next."""
    for backend in BACKENDS:
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
