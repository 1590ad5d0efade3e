"""Config and summary: what W&B's updates and removals come to when they are played again."""

from __future__ import annotations

import copy
import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.capture.client import SHOWN_SUMMARY
from tests.capture.logs import config, ended, header, history, metric, run, summary, write_log
from tests.capture.oracle import differences
from tests.unit.strategies import QUICK
from training_db.capture.offline.log import WandbLog

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from wandb.proto.wandb_internal_pb2 import Record

    from training_db.capture.captured import CapturedRun

    Replayed = Callable[..., CapturedRun]


@pytest.fixture
def replayed(tmp_path: Path) -> Replayed:
    """What is known of a run whose log holds these records."""

    def replay(*records: Record, **fields: Any) -> CapturedRun:
        path = write_log(tmp_path / "run-r1.wandb", [header(), run(**fields), *records])
        log = WandbLog(path)
        for _ in log.batches():
            pass
        assert log.damage == []
        return log.run

    return replay


def test_a_later_config_update_wins_and_leaves_the_rest(replayed: Replayed) -> None:
    captured = replayed(config({"lr": 0.5, "extra": [1]}), config=({"lr": 0.1, "name": "x"}))

    assert captured.config == {"lr": 0.5, "name": "x", "extra": [1]}


@pytest.mark.parametrize("nested", [False, True])
def test_a_removed_config_key_is_gone(replayed: Replayed, nested: bool) -> None:
    captured = replayed(
        config({"a": 1, "b": 2}),
        config(removed=["a"], nested=nested),
        config({"c": 3}),
    )

    assert captured.config == {"b": 2, "c": 3}


def test_nested_config_updates_change_one_leaf(replayed: Replayed) -> None:
    captured = replayed(
        config({"model": {"size": 1, "kind": "x"}}),
        config({("model", "size"): 2, ("model", "head", "dim"): 3}),
        config(removed=[("model", "kind")]),
    )

    assert captured.config == {"model": {"size": 2, "head": {"dim": 3}}}


def test_a_key_with_dots_is_no_path(replayed: Replayed) -> None:
    captured = replayed(config({"a.b": 1}), config({("a", "b"): 2}))

    assert captured.config == {"a.b": 1, "a": {"b": 2}}


def test_empty_dicts_nulls_and_small_numbers_of_a_config_are_kept(replayed: Replayed) -> None:
    told = {"pruned_heads": {}, "dtype": None, "eps": 1e-08, "big": 2**70, "list": []}

    captured = replayed(config=told)

    assert captured.config == told
    assert type(captured.config["eps"]) is float


def test_what_wandb_notes_for_itself_is_no_config(replayed: Replayed) -> None:
    captured = replayed(
        config({"_wandb": {"cli_version": "0.10.28", "t": {"1": [1]}}}), config={"lr": 1}
    )

    assert captured.config == {"lr": 1}
    assert captured.details["wandb"]["cli_version"] == "0.10.28"


def test_a_value_that_becomes_a_mapping_and_back_is_what_came_last(replayed: Replayed) -> None:
    captured = replayed(
        summary({"a": 1, "b": {"x": 1}}), summary({("a", "y"): 2, "b": 3}), summary({"c": 4})
    )

    assert captured.summary == {"a": {"y": 2}, "b": 3, "c": 4}


def test_without_a_summary_record_the_summary_is_the_last_value_of_each_key(
    replayed: Replayed,
) -> None:
    captured = replayed(
        history({"loss": 3.0, "acc": 0.1}, 0),
        history({"loss": 2.0, ("n", "d"): 5}, 1),
        history({"loss": math.nan}, 2),
    )

    expected = {"loss": math.nan, "acc": 0.1, "n": {"d": 5}, "_step": 2}
    assert differences(expected, captured.summary) == []


def test_rows_and_summary_records_count_in_the_order_of_the_file(replayed: Replayed) -> None:
    captured = replayed(
        history({"loss": 3.0, "best": 1.0}, 0),
        summary({"best": 0.5, "loss": 9.0}),
        history({"loss": 2.0}, 1),
    )

    assert captured.summary == {"loss": 2.0, "best": 0.5, "_step": 1}


def test_a_summary_after_the_exit_record_counts(replayed: Replayed) -> None:
    captured = replayed(history({"loss": 3.0}, 0), ended(0, 5), summary({"loss": 0.25, "final": 1}))

    assert captured.summary == {"loss": 0.25, "final": 1, "_step": 0}


@pytest.mark.parametrize("nested", [False, True])
def test_a_removed_summary_key_is_gone_until_it_is_logged_again(
    replayed: Replayed, nested: bool
) -> None:
    captured = replayed(
        history({"loss": 3.0, "acc": 1}, 0),
        summary(removed=["loss", "acc", "never"], nested=nested),
        history({"acc": 2}, 1),
    )

    assert captured.summary == {"acc": 2, "_step": 1}


def test_nested_summary_updates_and_removals_change_one_leaf(replayed: Replayed) -> None:
    captured = replayed(
        summary({("eval", "acc"): 1, ("eval", "f1"): 2, ("eval", "deep", "x"): 3}),
        summary({("eval", "acc"): 5}),
        summary(removed=[("eval", "f1"), ("eval", "deep", "x")]),
    )

    assert captured.summary["eval"]["acc"] == 5
    assert "f1" not in captured.summary["eval"]
    assert "x" not in captured.summary["eval"].get("deep", {})


paths = st.sampled_from([("a",), ("a", "b"), ("a", "b", "c"), ("d",), ("e", "f"), ("a.b",)])
leaves = st.sampled_from([("a", "b"), ("d",), ("e", "f"), ("g",)])
values = st.integers(0, 9) | st.none() | st.just({"b": 1, "x": {"y": 2}})
changes = st.one_of(
    st.tuples(st.just("row"), st.dictionaries(leaves, st.integers(0, 9), max_size=3)),
    st.tuples(st.just("update"), st.tuples(paths, values, st.booleans())),
    st.tuples(st.just("remove"), st.tuples(paths, st.none(), st.booleans())),
)


def played(given: list[Any]) -> dict[str, Any]:
    """Play changes one after the other, in the plainest way there is."""
    root: dict[str, Any] = {}

    def put(path: tuple[str, ...], value: Any) -> None:
        place = root
        for part in path[:-1]:
            if not isinstance(place.get(part), dict):
                place[part] = {}
            place = place[part]
        place[path[-1]] = copy.deepcopy(value)

    for kind, what in given:
        if kind == "row":
            for path, value in what.items():
                put(path, value)
        elif kind == "update":
            put(what[0], what[1])
        else:
            place: Any = root
            for part in what[0][:-1]:
                place = place.get(part) if isinstance(place, dict) else None
            if isinstance(place, dict):
                place.pop(what[0][-1], None)
    return root


def without_empty(tree: dict[str, Any]) -> dict[str, Any]:
    """Leave out mappings without a value: whether one stays when its last key goes is open."""
    kept = {key: without_empty(one) if isinstance(one, dict) else one for key, one in tree.items()}
    return {key: one for key, one in kept.items() if one != {}}


@QUICK
@given(given=st.lists(changes, max_size=14), batch=st.sampled_from([1, 3, 100_000]))
def test_any_changes_come_to_what_they_come_to_one_after_the_other(
    tmp_path: Path, given: list[Any], batch: int
) -> None:
    records = [header(), run()]
    for kind, what in given:
        if kind == "row":
            records.append(history(what))
        elif kind == "update":
            path, value, nested = what
            records.append(summary({path if nested or len(path) > 1 else path[0]: value}))
        else:
            path, _, nested = what
            records.append(summary(removed=[path if nested or len(path) > 1 else path[0]]))
    log = WandbLog(write_log(tmp_path / "run-r1.wandb", records), batch_cells=batch)

    for _ in log.batches():
        pass

    assert differences(without_empty(played(given)), without_empty(log.run.summary)) == []


@pytest.mark.parametrize("kind", ["min", "max", "mean", "best"])
def test_a_row_does_not_overwrite_what_wandb_summarised(replayed: Replayed, kind: str) -> None:
    captured = replayed(
        metric("low", **{kind: True}),
        summary({"low": {kind: 1}}, nested=True),
        history({"low": 5, "loss": 1.0}, 0),
    )

    assert captured.summary == {"low": {kind: 1}, "loss": 1.0, "_step": 0}


def test_a_summarised_nested_metric_is_left_alone_too(replayed: Replayed) -> None:
    captured = replayed(
        metric("eval.loss", min=True),
        summary({("eval", "loss"): {"min": 1}}),
        history({("eval", "loss"): 5, ("eval", "acc"): 7}, 0),
    )

    assert captured.summary == {"eval": {"loss": {"min": 1}, "acc": 7}, "_step": 0}


def test_a_metric_without_a_summary_has_none(replayed: Replayed) -> None:
    captured = replayed(metric("noise", none=True), history({"noise": 5, "loss": 1}, 0))

    assert captured.summary == {"loss": 1, "_step": 0}


def test_a_metric_that_is_defined_without_a_summary_kind_is_summarised_as_usual(
    replayed: Replayed,
) -> None:
    captured = replayed(metric("epoch"), history({"epoch": 5}, 0))

    assert captured.summary == {"epoch": 5, "_step": 0}


def test_media_in_the_summary_is_one_mapping(replayed: Replayed) -> None:
    captured = replayed(
        history({("table", "_type"): "table-file", ("table", "path"): "media/x.json"}, 0)
    )

    assert captured.summary["table"] == {"_type": "table-file", "path": "media/x.json"}


def test_the_summary_is_what_the_real_client_showed(client_logs: dict[str, Path]) -> None:
    path = client_logs["whole"]
    shown = json.loads((path.parents[2] / SHOWN_SUMMARY).read_text())
    log = WandbLog(path)
    assert sum(1 for _ in log.batches()) > 0

    found = {key: one for key, one in log.run.summary.items() if one is not None}  # it hides null

    for changing in ("_runtime", "_wandb"):  # the client wrote a last one when it ended
        shown.pop(changing, None)
        found.pop(changing, None)
    assert differences(shown, found) == []


def test_a_summary_does_not_depend_on_where_reading_begins(client_logs: dict[str, Path]) -> None:
    summaries = []
    for first in (0, 1, 3, 6):
        log = WandbLog(client_logs["whole"], first_row=first)
        for _ in log.batches():
            pass
        summaries.append(log.run.summary)

    assert differences(dict(enumerate(summaries)), dict.fromkeys(range(4), summaries[0])) == []
