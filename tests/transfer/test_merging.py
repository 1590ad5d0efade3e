"""Merging into a database that has runs: what is the same, what conflicts, what gets a number."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from tests.torture import on_one_backend
from tests.transfer.databases import fill
from tests.transfer.truth import Contents, contents, differences, numbering
from training_db import TrainingDB
from training_db.db.migrations import check
from training_db.errors import InvalidInput
from training_db.transfer.copying import copy_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.transfer.conftest import Places


def joined(*parts: Contents) -> Contents:
    """Return what a database has that has all of several, metric names once."""
    whole = {table: sum((part[table] for part in parts[1:]), parts[0][table]) for table in parts[0]}
    for name in whole["metric_names"]:
        whole["metric_names"][name] = 1
    return whole


def decoded(db: TrainingDB, run_id: str) -> Any:
    history = db.runs.history_json(run_id)
    return history and json.loads(history)


def named(url: str) -> Contents:
    return contents(url, by_name=True)


@pytest.mark.parametrize(("backend", "merge"), [("sqlite", "replace"), ("postgresql", "fail")])
def test_runs_of_two_databases_come_together(places: Places, backend: str, merge: str) -> None:
    source, target = places.filled("sqlite", prefix="new"), places.migrated(backend)
    with TrainingDB(target) as db:
        db.runs.insert("own", history_json={"note": [1], "a metric that shifts all ids": [2]})
    fill(target, prefix="old")
    before = named(target)
    numbers = numbering(target)

    report = copy_database(source, target, merge=merge)

    assert report.ok
    assert report.conflicts == []
    assert differences(named(target), joined(before, named(source))) == {}
    assert check(target).faults == []
    after = numbering(target)
    assert {run_id: after[run_id] for run_id in numbers} == numbers
    assert sorted(after.values()) == sorted(set(after.values()))
    assert report.renumbered == {
        run_id: (number, after[run_id])
        for run_id, number in numbering(source).items()
        if after[run_id] != number
    }
    assert report.renumbered
    with TrainingDB(source) as here, TrainingDB(target) as there:
        for run_id in here.runs.ids():
            # The order of its keys may be that of the metrics' ids, which differ.
            assert decoded(there, run_id) == decoded(here, run_id)
        there.runs.insert("next")
        assert there.runs.number("next") == max(after.values()) + 1


def test_a_number_that_is_free_is_kept(places: Places, target: str) -> None:
    source = places.migrated("sqlite")
    with TrainingDB(source) as db:
        for run_id in ("first", "second", "third"):
            db.runs.insert(run_id)
    with TrainingDB(target) as db:
        db.runs.insert("own")

    report = copy_database(source, target, merge="skip")

    assert numbering(target) == {"own": 1, "second": 2, "third": 3, "first": 4}
    assert report.renumbered == {"first": (1, 4)}


@on_one_backend
def test_what_is_there_already_is_counted_and_left(places: Places, target: str) -> None:
    source = places.filled("sqlite")
    fill(target, runs=1, prefix="own")
    copy_database(source, target, merge="fail")
    before = contents(target)

    for merge in ("fail", "replace"):
        report = copy_database(source, target, merge=merge)
        assert report.ok
        assert (report.same_runs, report.copied_runs, report.conflicts) == (5, 0, [])

    assert contents(target) == before


def test_a_merge_into_nothing_is_a_copy(places: Places) -> None:
    source, target = places.filled("postgresql"), places.nothing("sqlite")
    assert copy_database(source, target, merge="fail").ok
    assert differences(contents(source), contents(target)) == {}


CHANGES: dict[str, Callable[[TrainingDB, str], Any]] = {
    "a column": lambda db, run: db.runs.update(run, notes="mine"),
    "a NULL": lambda db, run: db.runs.update(run, notes=None),
    "a tag": lambda db, run: db.tags.add(run, "mine"),
    "an event": lambda db, run: db.events.add(run, "note", "mine"),
    "an artifact": lambda db, run: db.artifacts.add(run, "plot", "mine"),
    "an objective": lambda db, run: db.objectives.insert(run, "mine"),
    "a scaffold": lambda db, run: db.scaffolds.insert(run, [{"scaffold_id": "mine"}]),
    "a point": lambda db, run: db.history.append(run, {"loss": [0.125]}),
    "the trash": lambda db, run: db.runs.delete(run),
    "all history": lambda db, run: db.history.delete(run),
}


@on_one_backend
def test_a_run_that_differs_in_anything_is_a_conflict(places: Places, target: str) -> None:
    source = places.filled("sqlite", runs=len(CHANGES) + 2)
    copy_database(source, target)
    changed = dict(zip((f"run-{index}" for index in range(2, 20)), CHANGES.values(), strict=False))
    with TrainingDB(target) as db, db.transaction():
        for run_id, change in changed.items():
            change(db, run_id)
    before = contents(target)

    failed = copy_database(source, target, merge="fail")

    assert sorted(one.run_id for one in failed.conflicts) == sorted(changed)
    assert all(one.reason for one in failed.conflicts)
    assert (failed.ok, failed.stopped) == (False, True)
    assert contents(target) == before

    skipped = copy_database(source, target, merge="skip")

    assert sorted(one.run_id for one in skipped.conflicts) == sorted(changed)
    assert skipped.skipped_runs == len(changed)
    assert contents(target) == before

    replaced = copy_database(source, target, merge="replace")

    assert replaced.ok
    assert replaced.replaced_runs == len(changed)
    expected = named(source)
    expected["metric_names"] |= named(target)["metric_names"]
    assert differences(named(target), expected) == {}
    assert numbering(target) == numbering(source)
    assert copy_database(source, target, merge="fail").conflicts == []


def test_skip_takes_what_does_not_conflict(places: Places, target: str) -> None:
    source = places.filled("sqlite", runs=2)
    copy_database(source, target)
    with TrainingDB(target) as db:
        db.runs.update("run-0", notes="mine")
    with TrainingDB(source) as db:
        db.runs.insert("only here", history_json={"a new metric": [1.5]})
    before = named(target)

    report = copy_database(source, target, merge="skip")

    assert report.copied_runs == 1
    assert [(one.run_id, one.outcome) for one in report.conflicts] == [("run-0", "skipped")]
    new = differences(named(target), before)
    assert {row for table, (rows, _) in new.items() if table != "metric_names" for row in rows
            if "only here" not in dict(row).values()} == set()  # fmt: skip
    assert all(not gone for _, gone in new.values())
    with TrainingDB(target) as db:
        assert db.runs.history_json("only here") == '{"a new metric":[1.5]}'


@pytest.mark.parametrize("merge", ["skip", "replace"])
def test_an_id_at_wandb_that_another_run_has_is_a_conflict(
    places: Places, target: str, merge: str
) -> None:
    source = places.migrated("sqlite")
    with TrainingDB(source) as db:
        db.runs.insert("theirs", "w1", notes="theirs")
        db.tags.add("theirs", "tag")
        db.runs.insert("other")
    with TrainingDB(target) as db:
        db.runs.insert("ours", "w1", notes="ours")
        db.events.add("ours", "note", "kept?")

    report = copy_database(source, target, merge=merge)

    [conflict] = report.conflicts
    assert conflict.run_id == "theirs"
    assert "ours" in conflict.reason
    with TrainingDB(target) as db:
        runs = set(db.runs.ids())
        assert "other" in runs
        if merge == "skip":
            assert runs == {"ours", "other"}
        elif "theirs" in runs:  # then both may not have the id
            [holder] = [one["run_id"] for one in db.runs.query({"wandb_run_id": "w1"})]
            assert holder == "theirs"
            assert db.tags.of("theirs") == {"tag": None}
    assert check(target).faults == []


def test_two_runs_that_swap_their_ids_at_wandb_are_replaced(places: Places, target: str) -> None:
    source = places.migrated("sqlite")
    for url, ids in ((source, ("a", "b")), (target, ("b", "a"))):
        with TrainingDB(url) as db:
            for run_id, wandb in zip(("first", "second"), ids, strict=True):
                db.runs.insert(run_id, wandb)

    report = copy_database(source, target, merge="replace")

    assert {one.run_id for one in report.conflicts} == {"first", "second"}
    with TrainingDB(target) as db:
        assert {one["run_id"]: one["wandb_run_id"] for one in db.runs.query()} == {
            "first": "a", "second": "b"
        }  # fmt: skip


def test_numbers_that_are_swapped_are_given_anew_or_kept_and_never_doubled(
    places: Places, target: str
) -> None:
    source = places.migrated("sqlite")
    for url, ids in ((source, ("a", "b", "c")), (target, ("c", "a", "b"))):
        with TrainingDB(url) as db:
            for run_id in ids:
                db.runs.insert(run_id, notes=url[:6] if url == target else "new", created_at=0)

    copy_database(source, target, merge="replace")

    numbers = numbering(target)
    assert sorted(numbers) == ["a", "b", "c"]
    assert len(set(numbers.values())) == 3
    assert check(target).faults == []


def test_a_run_that_is_replaced_keeps_nothing_of_what_it_was(places: Places, target: str) -> None:
    source = places.migrated("sqlite")
    with TrainingDB(source) as db:
        db.runs.insert("run-0", notes="new")
    fill(target, runs=1)

    report = copy_database(source, target, merge="replace")

    assert report.ok
    with TrainingDB(target) as db, db.engine.connect() as connection:
        number = db.runs.number("run-0")
        for table in ("run_objectives", "run_scaffolds", "run_history_key_metrics"):
            query = f"SELECT count(*) FROM {table} WHERE run_id = 'run-0'"
            assert connection.scalar(text(query)) == 0
        for table in ("run_tags", "run_events", "run_artifacts", "run_metrics",
                      "run_history_segments", "run_history_tails"):  # fmt: skip
            query = f"SELECT count(*) FROM {table} WHERE run_number = {number}"
            assert connection.scalar(text(query)) == 0


def test_a_merge_of_an_unknown_kind_changes_nothing(places: Places, target: str) -> None:
    fill(target, runs=1)
    before = contents(target)
    with pytest.raises(InvalidInput, match="overwrite"):
        copy_database(places.filled("sqlite"), target, merge="overwrite")
    assert contents(target) == before
