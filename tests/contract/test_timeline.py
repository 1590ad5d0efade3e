"""Events, artifacts and tags: what people and recorders note beside a run."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from training_db.errors import InvalidValue, RunNotFound
from training_db.timestamps import format_timestamp, now

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB


@pytest.fixture(autouse=True)
def runs(db: TrainingDB) -> None:
    db.runs.insert_many([{"run_id": "r1"}, {"run_id": "r2"}])


def messages(events: list[dict[str, Any]]) -> list[str]:
    return [event["message"] for event in events]


def test_an_event_is_kept_with_its_time_and_data(db: TrainingDB) -> None:
    before = format_timestamp(now())
    db.events.add("r1", "error", "diverged", {"step": 7, "loss": math.nan})
    db.events.add("r1", "note", "late", happened_at="2026-01-01T00:00:00+01:00")
    late, error = db.events.list("r1")
    assert (late["message"], late["happened_at"]) == ("late", "2025-12-31T23:00:00.000000Z")
    assert (late["data_json"], late["event_key"]) == (None, None)
    assert before <= error["happened_at"] <= format_timestamp(now())
    assert error["kind"] == "error"
    assert json.loads(error["data_json"])["step"] == 7
    assert math.isnan(json.loads(error["data_json"])["loss"])
    assert db.events.list("r2") == []


def test_the_timeline_goes_by_what_happened_first_and_by_pages(db: TrainingDB) -> None:
    for second, name in ((3, "c"), (1, "a"), (2, "b"), (2, "b2"), (4, "d")):
        db.events.add("r1", "even" if second % 2 == 0 else "odd", name, happened_at=second)
    db.events.add("r2", "odd", "other", happened_at=2)
    assert messages(db.events.list("r1")) == ["a", "b", "b2", "c", "d"]
    assert messages(db.events.list("r1", "even")) == ["b", "b2", "d"]
    assert messages(db.events.list("r1", limit=None)) == ["a", "b", "b2", "c", "d"]
    page = db.events.list("r1", limit=2)
    assert messages(page) == ["a", "b"]
    page = db.events.list("r1", limit=2, after=page[-1]["id"])
    assert messages(page) == ["b2", "c"]
    assert messages(db.events.list("r1", limit=2, after=page[-1]["id"])) == ["d"]
    assert messages(db.events.list("r1", "even", after=page[0]["id"])) == ["d"]
    other = db.events.list("r2")[0]["id"]
    for wrong in (other, 10**30, -1, "1"):
        with pytest.raises(InvalidValue, match="no event"):
            db.events.list("r1", after=wrong)  # type: ignore[arg-type]


def test_an_event_that_is_sent_twice_is_kept_once(db: TrainingDB) -> None:
    for _ in range(2):
        db.events.add("r1", "start", "began", event_key="w1-0")
    db.events.add("r1", "start", "began", event_key="w1-1")
    db.events.add("r1", "start", "began")
    db.events.add("r1", "start", "began")
    assert len(db.events.list("r1")) == 4
    there = len(db.events.list("r2"))
    db.events.add("r2", "start", "began", event_key="w1-0")  # another run's own
    assert (len(db.events.list("r1")), len(db.events.list("r2"))) == (4, there + 1)


@pytest.mark.parametrize(
    "wrong",
    [{"kind": None}, {"message": 5}, {"message": "a\x00"}, {"happened_at": "soon"},
     {"data": max}, {"event_key": ""}],
    ids=str,
)  # fmt: skip
def test_an_event_that_cannot_be_stored_is_refused(db: TrainingDB, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        db.events.add(**{"run_id": "r1", "kind": "note", "message": "hello"} | wrong)
    assert db.events.list("r1") == []


def test_an_artifact_is_noted_with_its_size_where_the_file_is_here(
    db: TrainingDB, tmp_path: Path
) -> None:
    plot = tmp_path / "loss.png"
    plot.write_bytes(b"12345")
    first = db.artifacts.add("r1", "plot", plot, {"dpi": 90})
    second = db.artifacts.add("r1", "checkpoint", "s3://bucket/last.pt")
    third = db.artifacts.add("r2", "plot", str(plot))
    assert first < second < third
    shown = db.artifacts.list("r1")
    assert [one["id"] for one in shown] == [first, second]
    assert (shown[0]["filepath"], shown[0]["size_bytes"]) == (str(plot), 5)
    assert json.loads(shown[0]["metadata_json"]) == {"dpi": 90}
    assert (shown[1]["size_bytes"], shown[1]["metadata_json"]) == (None, None)
    assert shown[0]["created_at"].endswith("Z")
    assert [one["id"] for one in db.artifacts.list("r1", "checkpoint")] == [second]
    assert db.artifacts.list("r1", "model") == []


@pytest.mark.parametrize("path", [5, None, "a\x00b", "\ud800"])
def test_a_path_that_is_no_text_is_refused(db: TrainingDB, path: Any) -> None:
    with pytest.raises(InvalidValue):
        db.artifacts.add("r1", "plot", path)
    assert db.artifacts.list("r1") == []


def test_a_run_has_one_value_a_tag(db: TrainingDB) -> None:
    db.tags.add("r1", "keep")
    db.tags.add("r1", "paper", "figure 1")
    db.tags.add("r1", "paper", "figure 2")
    db.tags.add("r2", "paper")
    assert db.tags.of("r1") == {"keep": None, "paper": "figure 2"}
    db.tags.add("r1", "paper")
    assert db.tags.of("r1") == {"keep": None, "paper": None}
    assert db.tags.remove("r1", "paper")
    assert not db.tags.remove("r1", "paper")
    assert db.tags.of("r1") == {"keep": None}
    assert db.tags.of("r2") == {"paper": None}


@pytest.mark.parametrize(
    ("name", "value"), [("", None), (None, None), (5, None), ("a\x00", None), ("a" * 1_001, None),
                        ("a", 5), ("a", "b" * 1_001), ("a", "\ud800")],
)  # fmt: skip
def test_a_tag_is_a_short_text(db: TrainingDB, name: Any, value: Any) -> None:
    with pytest.raises(InvalidValue):
        db.tags.add("r1", name, value)
    assert db.tags.of("r1") == {}


def test_what_is_noted_of_a_run_that_is_not_there_is_an_error(db: TrainingDB) -> None:
    for call in (
        lambda: db.events.add("nobody", "note", "hello"),
        lambda: db.events.list("nobody"),
        lambda: db.artifacts.add("nobody", "plot", "loss.png"),
        lambda: db.artifacts.list("nobody"),
        lambda: db.tags.add("nobody", "keep"),
        lambda: db.tags.remove("nobody", "keep"),
        lambda: db.tags.of("nobody"),
    ):
        with pytest.raises(RunNotFound, match="nobody"):
            call()


def test_what_is_noted_belongs_to_the_transaction(db: TrainingDB) -> None:
    with pytest.raises(ZeroDivisionError), db.transaction():
        db.events.add("r1", "note", "hello")
        db.artifacts.add("r1", "plot", "loss.png")
        db.tags.add("r1", "keep")
        raise ZeroDivisionError
    assert (db.events.list("r1"), db.artifacts.list("r1"), db.tags.of("r1")) == ([], [], {})


def test_a_run_takes_along_what_was_noted_of_it(db: TrainingDB) -> None:
    db.events.add("r1", "note", "hello")
    db.artifacts.add("r1", "plot", "loss.png")
    db.tags.add("r1", "keep")
    with db.engine.begin() as connection:
        connection.execute(text("DELETE FROM training_runs WHERE run_id = 'r1'"))
        for table in ("run_events", "run_artifacts", "run_tags"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar() == 0
