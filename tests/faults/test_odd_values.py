"""Names and values that nobody expects: what can be stored is, and nothing stops a training."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.faults.points import recorded

if TYPE_CHECKING:
    from training_db import TrainingDB

NAMES = [
    "objectives/COMT_activity_maximize/raw_mean", "损失", "naïve \N{GRINNING FACE}",
    "it's \"quoted\"",
    "a; DROP TABLE training_runs; --", "%s {0} $1 :name ?", "tab\tnew\nline", " ", "x" * 1000,
]  # fmt: skip
VALUES: list[Any] = [
    0.1, -0.0, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, 0, -1, 2**53 + 1, 2**63 - 1,
    -(2**63), 2**63, 10**40, True, False, "", "text", "损失 \N{GRINNING FACE}", "it's",
    "x" * 100_000, {}, {"a": [1, 2.5, None, {"b": "c"}]}, [],
    [1, "two", None], [[1.5, 2.5], [3.5, 4.5]],
]  # fmt: skip


class Scalar:
    """A number as torch and jax have them: of no type that is known, but with an item."""

    ndim = 0

    def item(self) -> float:
        return 0.25


class Broken:
    """Something that cannot even be printed."""

    ndim = 0

    def item(self) -> float:
        raise RuntimeError("no item")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def same(one: object, other: object) -> bool:
    return type(one) is type(other) and repr(one) == repr(other)


def test_every_name_that_a_database_can_hold_comes_back(db: TrainingDB) -> None:
    with db.recorder("run") as recorder:
        recorder.log(dict.fromkeys(NAMES, 0.5), step=1)

    assert recorded(db, "run") == {name: [(1, 0.5)] for name in NAMES}


def test_every_value_that_json_can_hold_comes_back_as_it_was(db: TrainingDB) -> None:
    with db.recorder("run") as recorder:
        for step, value in enumerate(VALUES):
            recorder.log({"one": value, f"alone {step}": value}, step=step)
        recorder.log({"one": math.nan, "alone": math.nan}, step=len(VALUES))

    found = recorded(db, "run")
    back = [value for _, value in found["one"]]
    assert len(back) == len(VALUES) + 1
    for value, one in zip(VALUES, back, strict=False):
        assert same(value, one)
    for step, value in enumerate(VALUES):
        assert same(found[f"alone {step}"][0][1], value)
    assert math.isnan(back[-1])
    assert math.isnan(found["alone"][0][1])


def test_scalars_of_array_libraries_are_the_numbers_they_are(db: TrainingDB) -> None:
    values = [
        (np.float32(0.5), 0.5), (np.float64(0.1), 0.1), (np.float16(2), 2.0), (np.int64(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1), (np.int8(4), 4), (np.bool_(True), True),
        (Scalar(), 0.25), (np.array(1.5), 1.5), (np.array([1, 2]), [1, 2]),
        (np.float32("nan"), math.nan), (np.longdouble(0.5), 0.5),
    ]  # fmt: skip
    with db.recorder("run") as recorder:
        for step, (given, _) in enumerate(values):
            recorder.log({f"m{step}": given}, step=np.int64(step), epoch=np.float32(step))

    found = recorded(db, "run")
    for step, (_, wanted) in enumerate(values):
        [(at, value)] = found[f"m{step}"]
        assert at == step
        assert same(value, wanted)


def test_none_is_a_cell_that_is_missing(db: TrainingDB) -> None:
    with db.recorder("run") as recorder:
        recorder.log({"loss": 1.0, "eval": None}, step=1)
        recorder.log({"loss": None}, step=2)
        recorder.log({}, step=3)
        recorder.log({"loss": 2.0}, step=4)

    assert recorded(db, "run") == {"loss": [(1, 1.0), (4, 2.0)]}


def cyclic() -> list[Any]:
    one: list[Any] = []
    one.append(one)
    return one


UNSTORABLE: dict[str, Any] = {
    "object": object(), "function": cyclic, "cycle": cyclic(), "set": {1, 2}, "bytes": b"\xff\x00",
    "time": datetime(2024, 5, 6, tzinfo=UTC), "decimal": Decimal("0.1"), "complex": 1j,
    "NUL": "a\0b", "surrogate": "\ud800", "deep": {"a": {"b": "\ud800"}},
    "keys": {1: 2, (3,): 4}, "broken": Broken(), "objects": np.array([object()]),
    "dates": np.array(["2024"], "datetime64[D]"), "nothing": np.array([]),
}  # fmt: skip


STEPS = [2**70, -(2**70), math.nan, math.inf, "7", "x", True, [1], object(), 1.5, Broken()]
LONG = "\N{CJK UNIFIED IDEOGRAPH-6B65}" * 2000
BAD_NAMES = ["", "a\0b", "\ud800", "x" * 2000, LONG, 7, None, ("a", 1)]


@pytest.mark.filterwarnings("ignore::training_db.recording.RecorderWarning")
def test_a_value_that_cannot_be_stored_takes_no_other_with_it(db: TrainingDB) -> None:
    with db.recorder("run", flush_seconds=0.01) as recorder:
        for step, value in enumerate(UNSTORABLE.values()):
            recorder.log({"loss": step, f"odd {step}": value, "last": -step}, step=step)
        assert recorder.flush(10)

    found = recorded(db, "run")
    assert found["loss"] == [(step, step) for step in range(len(UNSTORABLE))]
    assert found["last"] == [(step, -step) for step in range(len(UNSTORABLE))]
    assert db.runs.get("run")["status"] == "completed"
    errors = [event["message"] for event in db.events.list("run", kind="error")]
    for step, name in enumerate(UNSTORABLE):
        # It is there in some form, or the run's timeline says that it is not.
        assert f"odd {step}" in found or any(f"'odd {step}'" in one for one in errors), name


@pytest.mark.filterwarnings("ignore::training_db.recording.RecorderWarning")
def test_a_name_that_cannot_be_stored_takes_no_other_with_it(db: TrainingDB) -> None:
    with db.recorder("run", flush_seconds=0.01) as recorder:
        for step, name in enumerate(BAD_NAMES):
            recorder.log({"loss": step, name: step}, step=step)  # type: ignore[dict-item]
        assert recorder.flush(10)

    found = recorded(db, "run")
    assert found.pop("loss") == [(step, step) for step in range(len(BAD_NAMES))]
    # Each under a name that is as near as can be.
    assert sorted(found.values()) == [[(step, step)] for step in range(len(BAD_NAMES))]
    assert db.runs.get("run")["status"] == "completed"


@pytest.mark.filterwarnings("ignore::training_db.recording.RecorderWarning")
def test_a_step_that_is_none_loses_no_value(db: TrainingDB) -> None:
    with db.recorder("run", flush_seconds=0.01) as recorder:
        for number, step in enumerate(STEPS):
            recorder.log({"loss": number}, step=step, epoch=step)
        recorder.log({"loss": len(STEPS)}, step=100)
        assert recorder.flush(10)

    found = recorded(db, "run")["loss"]
    assert sorted(value for _, value in found) == list(range(len(STEPS) + 1))
    assert (100, len(STEPS)) in found
