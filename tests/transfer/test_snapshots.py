"""A copy of a database that others write to is the database of one moment."""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.torture import some
from tests.transfer.truth import rows
from training_db.db.migrations import check
from training_db.transfer.copying import copy_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.transfer.conftest import Places

ACROSS = [("postgresql", "sqlite"), ("sqlite", "postgresql")]


@contextmanager
def somebody_writing_to(url: str) -> Iterator[None]:
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.transfer.writing", url],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert writer.stdout is not None
    assert writer.stdout.readline() == "going\n"
    yield
    output, errors = writer.communicate("stop\n", timeout=60)
    assert (writer.returncode, errors) == (0, "")
    assert int(output) > 20


@pytest.mark.parametrize("backends", some(ACROSS), ids=" to ".join)
def test_a_copy_has_whole_transactions_of_a_writer_and_those_before_it(
    places: Places, backends: tuple[str, str]
) -> None:
    source = places.filled(backends[0], runs=2)
    with somebody_writing_to(source):
        targets = [places.migrated(backends[1]) for _ in range(2)]
        reports = [copy_database(source, target) for target in targets]

    counts = []
    for target, report in zip(targets, reports, strict=True):
        runs = {row["run_id"]: row for row in rows(target, "training_runs")}
        written = int(runs["counter"]["notes"])
        counts.append(written)
        expected = {f"written-{index + 1}" for index in range(written)}
        assert {run_id for run_id in runs if run_id.startswith("written-")} == expected
        numbers = {runs[run_id]["number"] for run_id in expected}
        for table in ("run_tags", "run_events", "run_metrics"):
            found = [row["run_number"] for row in rows(target, table)]
            assert numbers <= set(found)
        changed = {run_id for run_id in expected if runs[run_id]["notes"] == "changed"}
        assert len(changed) == written // 5
        assert report.ok
        assert check(target).faults == []
    assert counts[0] < counts[1]
