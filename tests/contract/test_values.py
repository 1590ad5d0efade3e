"""Values that are odd: each is stored as it is, or refused by an error of this library."""

from __future__ import annotations

import json
import math
import secrets
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given

from tests.contract.conftest import empty
from tests.unit.strategies import SLOW, documents, same
from training_db.errors import InvalidInput, InvalidValue

if TYPE_CHECKING:
    from training_db import TrainingDB

NOT_FINITE = [math.nan, math.inf, -math.inf]


@SLOW
@given(documents, documents)
def test_any_config_and_summary_come_back_on_both_backends(
    both: tuple[TrainingDB, TrainingDB], one: object, two: object
) -> None:
    for db in both:
        empty(db)
        db.runs.insert("r1", config={"x": one}, summary={"x": two})
        run = db.runs.get("r1")
        assert same(json.loads(run["config_json"]), {"x": one})
        assert same(json.loads(run["final_metrics_json"]), {"x": two})


@pytest.mark.parametrize("number", NOT_FINITE)
def test_a_number_that_is_not_finite_survives_and_is_no_text(db: TrainingDB, number: float) -> None:
    name = json.dumps(number)
    db.runs.insert("number", config={"x": number}, summary={"x": number, "loss": number})
    db.runs.insert("text", config={"x": name}, summary={"x": name, "loss": name})
    as_number, as_text = db.runs.get("number"), db.runs.get("text")
    for column in ("config_json", "final_metrics_json"):
        assert repr(json.loads(as_number[column])["x"]) == repr(number)
        assert json.loads(as_text[column])["x"] == name
    assert repr(as_number["final_loss"]) == repr(number)
    assert as_text["final_loss"] is None
    for asked in (f"config.x = {name}", f"summary.x = {name}", f"final_loss = {name}"):
        assert [run["run_id"] for run in db.runs.query(asked)] == ["number"]
    for asked in (f"config.x = '{name}'", f"summary.x like '{name}'"):
        assert [run["run_id"] for run in db.runs.query(asked)] == ["text"]


@pytest.mark.parametrize("number", NOT_FINITE)
def test_a_number_that_is_not_finite_matches_no_numeric_filter(
    db: TrainingDB, number: float
) -> None:
    db.runs.insert("r1", config={"x": number}, summary={"loss": number}, learning_rate=number)
    db.objectives.insert("r1", "QED", raw_mean=number)
    for field in ("config.x", "summary.loss", "final_loss", "learning_rate", "objective.QED"):
        for test in ("< 1", "<= 1", "> 1", ">= 1", "= 1", "!= 1", "> -1e308", "< 1e308"):
            assert db.runs.count(f"{field} {test}") == 0, (field, test)
            assert db.runs.count(f"not ({field} {test})") == 0, (field, test)
        assert db.runs.count(f"{field} is missing") == 0
        assert db.runs.count(f"{field} is not missing") == 1
    assert db.runs.count({"min_final_loss": -1e308}) == 0
    assert db.runs.count({"max_learning_rate": 1e308}) == 0


@pytest.mark.parametrize("number", [*NOT_FINITE, 5e-324, 1.7976931348623157e308, 0.1])
def test_a_real_column_keeps_every_float(db: TrainingDB, number: float) -> None:
    db.runs.insert("r1", learning_rate=number)
    db.objectives.insert("r1", "QED", raw_mean=number, weight=number)
    assert same(db.runs.get("r1")["learning_rate"], number)
    assert same(db.objectives.of_run("r1")[0]["raw_mean"], number)
    db.objectives.update_metric("r1", "QED", "raw_std", number)
    assert same(db.objectives.of_run("r1")[0]["raw_std"], number)


def test_a_config_of_five_megabytes_is_stored(db: TrainingDB) -> None:
    config = {"text": secrets.token_hex(2_500_000), "lr": 0.1}
    db.runs.insert("r1", config=config)
    assert json.loads(db.runs.get("r1")["config_json"]) == config
    assert db.runs.count("config.lr = 0.1") == 1
    assert db.runs.count({"config.text": config["text"]}) == 1


def test_a_nul_and_half_a_surrogate_pair_survive_in_a_document(db: TrainingDB) -> None:
    config = {"nul": "a\x00b", "half": "\ud800", "list": ["\x00"], "text": r"\u0000", "lr": 0.1}
    db.runs.insert("r1", config=config, summary=config, history_json=config)
    run = db.runs.get("r1")
    for column in ("config_json", "final_metrics_json", "history_json"):
        assert json.loads(run[column]) == config
    assert db.runs.count(r"config.text = '\\u0000' and config.lr = 0.1") == 1


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"], ids=["nul", "surrogate"])
@pytest.mark.parametrize("column", ["host", "run_name", "blog_post_url", "wandb_run_id"])
def test_a_nul_or_half_a_surrogate_pair_in_a_column_is_refused_by_name(
    db: TrainingDB, column: str, text: str
) -> None:
    with pytest.raises(InvalidValue, match=column):
        db.runs.insert("r1", **{column: text})
    with pytest.raises(InvalidValue, match=column):
        db.runs.insert_many([{"run_id": "r1", column: text}])


@pytest.mark.parametrize(
    "text",
    ["a\x00b", "\ud800", secrets.token_hex(3_000), "ü" * 600],
    ids=["nul", "surrogate", "long", "long in bytes"],
)
def test_an_odd_text_that_a_rule_finds_in_a_config_fails_no_insert(
    db: TrainingDB, text: str
) -> None:
    config = {"gradient_method": text}
    db.runs.insert("r1", config=config)
    db.runs.insert_many([{"run_id": "r2", "config": config}])
    for run_id in ("r1", "r2"):
        run = db.runs.get(run_id)
        assert json.loads(run["config_json"]) == config
        assert run["gradient_method"] is None


@pytest.mark.parametrize(
    "name", ["a\x00b", "\ud800", "x" * 1001, "ü" * 501], ids=["nul", "surrogate", "long", "bytes"]
)
def test_an_objective_name_that_no_index_holds_is_refused(db: TrainingDB, name: str) -> None:
    db.runs.insert("r1")
    refused: list[Any] = [
        lambda: db.runs.insert("r2", config={"objectives": [name]}),
        lambda: db.runs.insert_many([{"run_id": "r2", "config": {"objectives": [name]}}]),
        lambda: db.runs.update("r1", summary={f"objectives/{name}/raw_mean": 1.0}),
        lambda: db.objectives.insert("r1", name),
        lambda: db.objectives.update_from_summary("r1", {f"objectives/{name}/raw_mean": 1.0}),
        lambda: db.scaffolds.insert("r1", [{"scaffold_id": name}]),
    ]
    for refuse in refused:
        with pytest.raises(InvalidInput):
            refuse()
    assert db.runs.count() == 1
    assert db.objectives.query() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"batch_size": 2**63}, {"batch_size": -(2**63) - 1}, {"batch_size": 10**400},
        {"batch_size": "many"}, {"batch_size": 1.5}, {"batch_size": True}, {"batch_size": math.nan},
        {"learning_rate": "fast"}, {"learning_rate": True}, {"learning_rate": [0.1]},
        {"learning_rate": 10**400}, {"duration_seconds": math.inf}, {"duration_seconds": 1e300},
        {"mixed_precision": "bf16"}, {"mixed_precision": 2}, {"host": 5},
        {"host": ["gpu"]}, {"created_at": "yesterday"}, {"created_at": math.nan},
        {"created_at": True}, {"summary": "[1]"}, {"summary": 5},
    ],
    ids=str,
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_refused_by_name(
    db: TrainingDB, fields: dict[str, Any]
) -> None:
    (name,) = fields
    with pytest.raises(InvalidValue, match=name.removesuffix("_json")) as caught:
        db.runs.insert("r1", **fields)
    assert "\n" not in str(caught.value)
    db.runs.insert("r1")
    with pytest.raises(InvalidValue):
        db.runs.update("r1", **fields)


@pytest.mark.parametrize(
    ("fields", "stored"),
    [
        ({"batch_size": 2**63 - 1}, 2**63 - 1),
        ({"batch_size": -(2**63)}, -(2**63)),
        ({"batch_size": np.int64(8)}, 8),
        ({"batch_size": np.int64(2**53 + 1)}, 2**53 + 1),
        ({"learning_rate": np.float32(0.5)}, 0.5),
        ({"learning_rate": 1}, 1.0),
        ({"mixed_precision": np.bool_(True)}, True),
        ({"duration_seconds": 12.5}, 12),
        ({"host": np.str_("gpu")}, "gpu"),
    ],
    ids=str,
)
def test_a_value_that_fits_its_column_is_stored(
    db: TrainingDB, fields: dict[str, Any], stored: object
) -> None:
    (name,) = fields
    db.runs.insert("r1", **fields)
    assert same(db.runs.get("r1")[name], stored)


@pytest.mark.parametrize("theirs", ["{broken", "[1, 2]", '{"lr": NaN}', "5", '{"$float": [1]}', ""])
def test_a_row_of_someone_else_is_shown_as_it_is_and_breaks_no_filter(
    db: TrainingDB, theirs: str
) -> None:
    from sqlalchemy import text

    db.runs.insert("good", config={"lr": 0.1})
    db.runs.insert("odd")
    with db.engine.begin() as connection:
        connection.execute(
            text("UPDATE training_runs SET config_json = :theirs WHERE run_id = 'odd'"),
            {"theirs": theirs},
        )
    assert db.runs.get("odd")["config_json"] == theirs
    assert [run["run_id"] for run in db.runs.query("config.lr = 0.1")] == ["good"]
    for asked in ("config.lr != 5", 'config."a b" != 5', "config.ü like '%'", "config.lr > 1"):
        assert db.runs.count(asked) <= 1
    assert db.runs.count("config.lr = nan") == (1 if "NaN" in theirs else 0)
