"""The history in a W&B log: each row, key and value, in whatever form a client wrote it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wandb.proto.wandb_internal_pb2 import Record

from tests.capture.client import ROWS, row
from tests.capture.logs import (
    Raw,
    alert,
    console,
    ended,
    header,
    history,
    run,
    simple,
    stats,
    write_log,
)
from tests.capture.oracle import alike, count_of, differences, read, told
from tests.unit.strategies import QUICK, documents
from training_db.capture.offline.log import WandbLog

if TYPE_CHECKING:
    from pathlib import Path

    from tests.capture.oracle import Cells

NAN, INFINITY = math.nan, math.inf
keys = st.sampled_from(["loss", "acc", "Epoch ", "train/loss", "a.b", "é", "x" * 130, "y" * 300])
rows_of_anything = st.lists(st.dictionaries(keys, documents, max_size=5), max_size=12)


def by_columns(rows: list[dict[str, Any]]) -> Cells:
    found: Cells = {}
    for number, one in enumerate(rows):
        for key, value in one.items():
            found.setdefault(key, {})[number] = value
    return found


def by_paths(rows: list[dict[str, Any]]) -> dict[Any, dict[int, Any]]:
    """Return values by the path of their key; a mapping counts as keys below its own."""
    found: dict[Any, dict[int, Any]] = {}

    def put(path: tuple[str, ...], value: Any, number: int) -> None:
        if isinstance(value, dict) and value and "_type" not in value:
            for key, inner in value.items():
                put((*path, key), inner, number)
        else:
            found.setdefault(path, {})[number] = value

    for number, one in enumerate(rows):
        for key, value in one.items():
            put((key,), value, number)
    return found


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run-r1.wandb"


def logged(path: Path, *records: Record) -> WandbLog:
    return WandbLog(write_log(path, [header(), run(), *records]))


@QUICK
@given(rows=rows_of_anything, nested=st.booleans(), batch=st.sampled_from([1, 7, 100_000]))
def test_any_values_come_back(
    path: Path, rows: list[dict[str, Any]], nested: bool, batch: int
) -> None:
    records = [header(), run(), *(history(one, nested=nested) for one in rows)]
    log = WandbLog(write_log(path, records), batch_cells=batch)

    found = read(log)

    paths = log.run.metric_paths
    shown = {tuple(paths.get(name, [name])): cells for name, cells in found.items()}
    assert differences(by_paths(rows), shown) == []
    assert (log.rows, log.damage) == (len(rows), [])
    assert log.counts == count_of(found)


@pytest.mark.parametrize("nested", [False, True])
def test_each_kind_of_value_is_itself(path: Path, nested: bool) -> None:
    values: dict[str, Any] = {
        "float": 0.1, "nan": NAN, "inf": INFINITY, "minus": -INFINITY, "null": None, "zero": 0,
        "big": 2**63, "huge": -(2**90), "long": 2**53 + 1, "true": True, "false": False,
        "text": 'a "b"\n\\ é 𝄞', "list": [1, 2.5, NAN, None, ["x", {"y": 1}]], "empty": [],
        "none": {}, "tiny": 5e-324,
    }  # fmt: skip

    found = read(logged(path, history(values, nested=nested)))

    assert differences(by_columns([values]), found) == []
    assert type(found["big"][0]) is int
    assert found["true"][0] is True


def test_python_floats_in_any_notation_are_read(path: Path) -> None:
    texts = {"a": "1e-08", "b": "1E5", "c": "-0.0", "d": " 2 ", "e": "1.7952824e+09", "f": "-NaN"}
    values = {key: Raw(text) for key, text in texts.items() if key != "f"}

    found = read(logged(path, history(values)))

    assert {key: cells[0] for key, cells in found.items()} == {
        key: json.loads(text) for key, text in texts.items() if key != "f"
    }


def test_integers_among_floats_are_floats_for_wandb_drops_the_point(path: Path) -> None:
    log = logged(path, *(history({"loss": Raw(text)}, step)
                         for step, text in enumerate(["1", "0.5", "2", "NaN", "3"])))  # fmt: skip

    (batch,) = log.batches()

    assert batch.columns["loss"].values.dtype == float
    assert alike(batch.columns["loss"].values.tolist(), [1.0, 0.5, 2.0, NAN, 3.0])
    assert batch.columns["_step"].values.dtype.kind == "i"


def test_a_key_that_was_a_float_stays_one_in_later_batches(path: Path) -> None:
    records = [header(), run(), *(history({"loss": Raw(text)}) for text in ("0.5", "1", "2"))]
    log = WandbLog(write_log(path, records), batch_cells=1)

    kinds = [batch.columns["loss"].values.dtype.kind for batch in log.batches()]

    assert len(kinds) > 1
    assert set(kinds) == {"f"}


def test_integers_that_are_no_floats_keep_their_digits_beside_floats(path: Path) -> None:
    values = [0.5, 2**53 + 1, 3]

    found = read(logged(path, *(history({"n": value}) for value in values)))

    assert [found["n"][at] for at in range(3)] == values


def test_numbers_and_other_things_under_one_key_stay_apart(path: Path) -> None:
    values = [1, "1", None, True, 0.5, {"_type": "x"}, [1], NAN]

    found = read(logged(path, *(history({"n": value}) for value in values)))

    assert alike([found["n"][at] for at in range(len(values))], values)


def test_nested_keys_and_literal_keys_with_dots_are_different_metrics(path: Path) -> None:
    log = logged(
        path,
        history({("n", "d"): 1, ("n.d",): 2, ("n", "e", "f"): 3}),
        history({("n.d",): 5, ("n", "d"): 4}),
    )

    found = read(log)

    paths = {name: log.run.metric_paths.get(name, [name]) for name in found}
    by_path = {tuple(parts): found[name] for name, parts in paths.items()}
    assert by_path == {
        ("n", "d"): {0: 1, 1: 4},
        ("n.d",): {0: 2, 1: 5},
        ("n", "e", "f"): {0: 3},
    }
    assert found["n.e.f"] == {0: 3}


def test_names_do_not_depend_on_where_reading_begins(path: Path) -> None:
    records = [header(), run(), history({("n.d",): 1}), history({("n", "d"): 2, ("n.d",): 3})]
    write_log(path, records)

    whole, rest = read(WandbLog(path)), read(WandbLog(path, first_row=1))

    assert rest == {name: {1: cells[1]} for name, cells in whole.items()}


def test_media_that_came_in_pieces_is_one_value_again(path: Path) -> None:
    image = {"_type": "image-file", "path": "media/a.png", "size": {"w": 2, "h": 3}}
    pieces = {("eval", "img", "path"): "media/a.png", ("eval", "img", "size", "w"): 2,
              ("eval", "acc"): 0.5, ("hist", "values"): [1, 2], ("eval", "img", "size", "h"): 3,
              ("eval", "img", "_type"): "image-file", ("hist", "_type"): "histogram"}  # fmt: skip
    log = logged(path, history(pieces), history({"hist": 3}), history({"old": image}))

    found = read(log)

    assert found == {
        "eval.img": {0: image},
        "eval.acc": {0: 0.5},
        "hist": {0: {"_type": "histogram", "values": [1, 2]}, 1: 3},
        "old": {2: image},
    }
    assert log.counts == count_of(found)


def test_media_inside_of_media_belongs_to_the_outer_one(path: Path) -> None:
    pieces = {("t", "_type"): "table", ("t", "a", "_type"): "image-file", ("t", "a", "b"): 1}

    found = read(logged(path, history(pieces)))

    assert found == {"t": {0: {"_type": "table", "a": {"_type": "image-file", "b": 1}}}}


def test_a_metric_called_type_is_no_media(path: Path) -> None:
    found = read(logged(path, history({"_type": "x", "loss": 1.0})))

    assert found == {"_type": {0: "x"}, "loss": {0: 1.0}}


@pytest.mark.parametrize("also_json", [False, True])
def test_typed_values_are_read(path: Path, also_json: bool) -> None:
    values = {"i": 2**60, "f": 1.0, "nan": NAN, "b": False, "t": "x", "l": [1, {"y": None}]}
    record = Record()
    for key, value in {**values, "none": None}.items():
        item = record.history.item.add(nested_key=[key])
        match value:
            case bool():
                item.boolean = value
            case int():
                item.integer = value
            case float():
                item.number = value
            case str():
                item.text = value
            case None:
                item.none = 0
            case _:
                item.json = json.dumps(value)
        if also_json:
            item.value_json = json.dumps(value)

    log = logged(path, record)
    found = read(log)

    assert differences(by_columns([{**values, "none": None}]), found) == []
    assert log.damage == []
    assert type(found["f"][0]) is float


def test_a_typed_value_is_more_exact_than_its_text(path: Path) -> None:
    record = Record()
    record.history.item.add(nested_key=["t"], number=1795282600.7849951, value_json="1.7952826e9")

    assert read(logged(path, record)) == {"t": {0: 1795282600.7849951}}


def test_steps_come_from_the_step_item(path: Path) -> None:
    log = logged(path, *(history({"loss": 1.0, "_step": step}) for step in (10_240, 20_480)))

    assert read(log)["_step"] == {0: 10_240, 1: 20_480}


def test_steps_come_from_the_step_field_where_there_is_no_item(path: Path) -> None:
    log = logged(path, *(history({"loss": 1.0}, step, item=False) for step in (0, 5, 9)))

    assert read(log)["_step"] == {0: 0, 1: 5, 2: 9}


def test_a_worker_of_shared_mode_has_no_steps_but_an_order(path: Path) -> None:
    found = read(logged(path, *(history({"loss": value}) for value in (3.0, 2.0, 1.0))))

    assert found == {"loss": {0: 3.0, 1: 2.0, 2: 1.0}}


def test_rows_after_the_exit_record_are_rows(path: Path) -> None:
    log = logged(path, history({"a": 1}, 0), ended(0, 3), history({"a": 2}, 1), ended(0, 4))

    assert read(log)["a"] == {0: 1, 1: 2}
    assert log.run.exit_code == 0


def test_a_row_without_a_value_is_a_row(path: Path) -> None:
    log = logged(path, history({"a": 1}), history({}), history({"a": 3}))

    assert read(log)["a"] == {0: 1, 2: 3}
    assert log.rows == 3


@pytest.mark.parametrize("first", [0, 1, 2, 5, 7])
def test_rows_before_the_first_that_is_wanted_are_counted_and_left_out(
    path: Path, first: int
) -> None:
    write_log(path, simple(rows=5))
    whole = read(WandbLog(path))
    log = WandbLog(path, first_row=first, batch_cells=4)

    found = read(log)

    assert found == {
        name: {at: value for at, value in cells.items() if at >= first}
        for name, cells in whole.items()
        if first < 5
    }
    assert log.counts == count_of(whole)
    assert log.rows == 5


def test_what_is_not_kept_is_counted_by_its_kind(path: Path) -> None:
    log = logged(path, stats(), stats(), console("hello"), history({"a": 1}), alert("t", "x"))

    assert read(log) == {"a": {0: 1}}
    assert sorted(log.left_out.values()) == [1, 2]
    assert all(kind and not kind[0].isdigit() for kind in log.left_out)


@pytest.mark.parametrize("name", ["whole", "failed", "typed", "first", "second"])
def test_logs_of_the_real_client_are_read_as_a_plain_loop_reads_them(
    client_logs: dict[str, Path], name: str
) -> None:
    log = WandbLog(client_logs[name])
    expected = told(client_logs[name])

    found = read(log)

    if name in ("whole", "typed"):  # the loop joins n.d and n, d; they are looked at below
        both = {key for key, parts in log.run.metric_paths.items() if ".".join(parts) == "n.d"}
        for name_of_either in {*both, "n.d"}:
            expected.cells.pop(name_of_either, None)
            found.pop(name_of_either)
    if name == "typed":  # its text has a digit less
        expected.cells.pop("_timestamp")
        found.pop("_timestamp")
    assert differences(expected.cells, found) == []
    assert log.rows == expected.rows


@pytest.mark.parametrize("name", ["whole", "typed"])
def test_what_the_real_client_was_given_comes_back(client_logs: dict[str, Path], name: str) -> None:
    log = WandbLog(client_logs[name])
    found = read(log)
    names = {tuple(parts): metric for metric, parts in log.run.metric_paths.items()}

    for number in range(ROWS):
        expected = row(number)
        inner = expected.pop("n")
        assert found[names["n", "d"]][number] == inner["d"]
        assert found[names["n", "e", "f"]][number] == inner["e"]["f"]
        literal = names.get(("n.d",), "n.d")
        assert found[literal][number] == expected.pop("n.d")
        shown = {key: found[key][number] for key in expected}
        assert differences(expected, shown) == []
        assert found["_step"][number] == number
