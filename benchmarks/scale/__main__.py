"""Measure each operation at each size on both backends, and write docs/scaling.md."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.databases import BACKENDS, fresh, server
from benchmarks.scale.measuring import Figure, measure
from benchmarks.scale.page import write_page

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = (1_000, 10_000, 100_000, 1_000_000)
MEASURED = Path("scaling.json")


def main() -> None:
    """Measure what was asked for, and write it down with what was measured before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="*", type=int, default=SIZES)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    options = parser.parse_args()
    known = {_key(one): one for one in _read()}
    for figure in _measured(options.backends, options.sizes):
        known[_key(figure)] = figure
        print(f"{figure.backend:<11}{figure.size:>10,}  {figure.value:<12.4g}{figure.name}")
        MEASURED.write_text(json.dumps([one.as_dict() for one in known.values()], indent=1))
    write_page(sorted(known.values(), key=lambda one: one.size))


def _measured(backends: list[str], sizes: list[int]) -> Iterator[Figure]:
    with server() as server_url:
        for size in sizes:
            for backend in backends:
                print(f"loading {size:,} runs into {backend} ...", file=sys.stderr, flush=True)
                with fresh(backend, server_url, f"scale_{size}") as url:
                    yield from measure(url, backend, size)


def _read() -> list[Figure]:
    return [Figure(**one) for one in json.loads(MEASURED.read_text())] if MEASURED.exists() else []


def _key(figure: Figure) -> tuple[str, int, str]:
    return figure.backend, figure.size, figure.name


if __name__ == "__main__":
    main()
