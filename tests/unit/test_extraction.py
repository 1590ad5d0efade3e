from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.strategies import QUICK, documents
from training_db.errors import UnknownName
from training_db.extraction import (
    CONFIG_RULES,
    RULES,
    SUMMARY_RULES,
    ExtractionRules,
    config_objectives,
    objective_key,
    summary_objectives,
)
from training_db.models import training_runs

EXAMPLES: dict[str, Any] = {
    "gradient_method": "mgda", "mixed_precision": True, "gradient_checkpointing": False,
    "enable_moving_targets": True, "return_groups": False,
}  # fmt: skip


def example(column: str) -> Any:
    kind = training_runs.c[column].type.python_type
    return EXAMPLES.get(column, 12 if kind is int else 0.25)


def nested(place: str, value: object) -> dict[str, object]:
    document: Any = value
    for key in reversed(place.replace("/", ".").split(".")):
        document = {key: document}
    return dict(document)


CONFIG_PLACES = [(column, place) for column, places in CONFIG_RULES.items() for place in places]
SUMMARY_PLACES = [(column, place) for column, places in SUMMARY_RULES.items() for place in places]


@pytest.mark.parametrize(("column", "place"), CONFIG_PLACES)
def test_each_place_of_a_config_fills_its_column(column: str, place: str) -> None:
    value = example(column)
    assert RULES.columns({place: value})[column] == value
    assert RULES.columns(nested(place, value))[column] == value
    assert RULES.columns(nested(place, {"value": value, "desc": None}))[column] == value


@pytest.mark.parametrize(("column", "place"), SUMMARY_PLACES)
def test_each_place_of_a_summary_fills_its_column(column: str, place: str) -> None:
    value = example(column)
    assert RULES.summary_columns({place: value})[column] == value
    assert RULES.summary_columns(nested(place, value))[column] == value


def test_every_column_of_the_second_schema_that_a_config_knows_has_a_rule() -> None:
    assert set(CONFIG_RULES) == {
        "batch_size", "learning_rate", "beta", "gradient_method", "num_gpus", "num_objectives",
        "num_scaffolds", "max_steps", "gradient_accumulation_steps", "max_grad_norm",
        "mixed_precision", "gradient_checkpointing", "enable_moving_targets", "n_clusters",
        "return_groups",
    }  # fmt: skip
    assert set(SUMMARY_RULES) >= {
        "final_loss", "final_grad_norm", "final_learning_rate", "total_training_steps"
    }  # fmt: skip


@pytest.mark.parametrize("rules", [CONFIG_RULES, SUMMARY_RULES])
def test_of_two_places_the_one_named_first_wins(rules: dict[str, tuple[str, ...]]) -> None:
    read = RULES.columns if rules is CONFIG_RULES else RULES.summary_columns
    for column, (first, *others) in rules.items():
        value = example(column)
        other = "pcgrad" if isinstance(value, str) else not value if value in (0, 1) else 99
        for place in others:
            assert read({place: other, first: value})[column] == value


def test_a_first_place_of_the_wrong_kind_gives_way_to_the_next() -> None:
    config = {"batch_size": "auto", "training": {"batch_size": 32}}
    assert RULES.columns(config) == {"batch_size": 32}


def test_the_form_that_wandb_writes_is_read_through() -> None:
    config = {
        "optimizer": {"value": {"lr": 0.1}},
        "batch_size": {"desc": "per step", "value": 8},
        "_wandb": {"value": {"cli_version": "0.18"}},
    }
    assert RULES.columns(config) == {"learning_rate": 0.1, "batch_size": 8}


@pytest.mark.parametrize(
    ("column", "given", "stored"),
    [
        ("batch_size", "64", 64),
        ("batch_size", 64.0, 64),
        ("batch_size", np.int64(64), 64),
        ("batch_size", 2**63 - 1, 2**63 - 1),
        ("batch_size", -(2**63), -(2**63)),
        ("learning_rate", "3e-4", 3e-4),
        ("learning_rate", 1, 1.0),
        ("learning_rate", np.float32(0.5), 0.5),
        ("learning_rate", np.array(0.5), 0.5),
        ("mixed_precision", "bf16", True),
        ("mixed_precision", "no", False),
        ("mixed_precision", "32-true", False),
        ("mixed_precision", "bf16-mixed", True),
        ("mixed_precision", "float32", False),
        ("mixed_precision", 16, True),
        ("mixed_precision", 32, False),
        ("return_groups", "False", False),
        ("return_groups", 1, True),
        ("num_objectives", ["QED", "SA"], 2),
        ("num_scaffolds", {"a": 1}, 1),
    ],
)
def test_a_value_is_brought_to_the_kind_of_its_column(
    column: str, given: object, stored: object
) -> None:
    (value,) = RULES.columns({column: given}).values()
    assert (value, type(value)) == (stored, type(stored))


@pytest.mark.parametrize(
    ("column", "given"),
    [
        ("batch_size", "auto"),
        ("batch_size", 1.5),
        ("batch_size", True),
        ("batch_size", 2**63),
        ("batch_size", 1e300),
        ("batch_size", math.inf),
        ("batch_size", math.nan),
        ("batch_size", None),
        ("batch_size", [64]),
        ("batch_size", np.array([1, 2])),
        ("learning_rate", False),
        ("learning_rate", "inf"),
        ("learning_rate", {"start": 0.1, "end": 0.2, "steps": 5}),
        ("learning_rate", 10**400),
        ("gradient_method", 5),
        ("gradient_method", ""),
        ("gradient_method", "a\x00b"),
        ("gradient_method", "\ud800"),
        ("gradient_method", "x" * 1001),
        ("gradient_method", {"name": "mgda"}),
        ("gradient_checkpointing", [True]),
        ("num_objectives", []),
        ("num_objectives", "many"),
    ],
)
def test_a_value_of_the_wrong_kind_fills_nothing(column: str, given: object) -> None:
    assert RULES.columns({column: given}) == {}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_is_kept_as_it_is(number: float) -> None:
    assert repr(RULES.summary_columns({"loss": number})) == repr({"final_loss": number})


def test_a_rule_of_ones_own_comes_before_those_that_are_there() -> None:
    rules = ExtractionRules()
    rules.add("learning_rate", "solver.base_lr", "solver.lr")
    assert rules.columns({"lr": 1, "solver": {"lr": 2}}) == {"learning_rate": 2.0}
    assert rules.columns({"lr": 1, "solver": {"base_lr": 3, "lr": 2}}) == {"learning_rate": 3.0}
    assert rules.columns({"lr": 1, "solver.base_lr": 4}) == {"learning_rate": 4.0}
    rules.add("learning_rate", "mine")
    assert rules.columns({"mine": 5, "solver.base_lr": 4}) == {"learning_rate": 5.0}
    assert RULES.columns({"lr": 1, "solver": {"lr": 2}}) == {"learning_rate": 1.0}


def test_a_rule_of_ones_own_may_fill_any_column_from_either_document() -> None:
    rules = ExtractionRules(config={}, summary={})
    rules.add("host", "machine.name")
    rules.add("final_loss", "valid/loss", source="summary")
    rules.add("started_at", "launched")
    assert rules.columns({"machine": {"name": "gpu-1"}, "lr": 1}) == {"host": "gpu-1"}
    assert rules.summary_columns({"valid/loss": 0.5, "loss": 1}) == {"final_loss": 0.5}


def test_a_rule_for_a_column_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownName, match="learning_rate"):
        ExtractionRules().add("learningrate", "lr")


DECLARED = {"QED": {"weight": 2.0, "direction": "maximize"}, "SA": {"direction": "minimize"}}


@pytest.mark.parametrize(
    "declared",
    [
        [{"name": "QED", "weight": 2, "direction": "maximize"}, {"name": "SA_minimize"}],
        [{"objective_name": "QED_maximize", "weight": "2"}, "SA_minimize"],
        {"QED_maximize": 2, "SA_minimize": None},
        {"QED": {"weight": 2, "direction": "maximize"}, "SA": {"direction": "minimize"}},
        ({"name": "QED_maximize", "weight": 2.0}, "SA_minimize", 5, None, {"no": "name"}, ""),
    ],
)
@pytest.mark.parametrize("place", ["objectives", "training.objectives", "reward.objectives"])
def test_objectives_are_read_in_all_the_forms_that_configs_have(
    declared: object, place: str
) -> None:
    assert config_objectives({place: declared}) == DECLARED
    assert config_objectives(nested(place, declared)) == DECLARED
    assert config_objectives(nested(place, {"value": declared})) == DECLARED


def test_an_objective_keeps_its_alias_and_its_protein() -> None:
    declared = [{"name": "COMT", "alias": "catechol", "uniprot_id": "P21964", "weight": True}]
    assert config_objectives({"objectives": declared}) == {
        "COMT": {"objective_alias": "catechol", "uniprot": "P21964"}
    }


@pytest.mark.parametrize("declared", [None, "QED", 7, [], {}, [[]], [1, 2]])
def test_what_declares_no_objective_gives_none(declared: object) -> None:
    assert config_objectives({"objectives": declared}) == {}


@pytest.mark.parametrize(
    ("key", "parsed"),
    [
        ("objectives/COMT_activity_maximize/raw_mean", ("COMT_activity", "maximize", "raw_mean")),
        ("objectives/SA_minimize/normalized_std", ("SA", "minimize", "normalized_std")),
        ("objectives/minimize_risk_minimize/raw_std", ("minimize_risk", "minimize", "raw_std")),
        ("objectives/maximize_x/raw_mean", ("maximize_x", None, "raw_mean")),
        ("objectives/a_maximize_b/raw_mean", ("a_maximize_b", None, "raw_mean")),
        ("objectives/a_minimize_maximize/raw_mean", ("a_minimize", "maximize", "raw_mean")),
        ("objectives/_minimize/raw_mean", ("_minimize", None, "raw_mean")),
        ("objectives/QED/normalized_mean", ("QED", None, "normalized_mean")),
        ("objectives/a/b_maximize/raw_mean", ("a/b", "maximize", "raw_mean")),
        ("objectives//raw_mean", None),
        ("objectives/QED/median", None),
        ("objectives/raw_mean", None),
        ("train/objectives/QED/raw_mean", None),
        ("loss", None),
    ],
)
def test_only_the_suffix_is_cut_from_an_objectives_name(
    key: str, parsed: tuple[str, str | None, str] | None
) -> None:
    assert objective_key(key) == parsed


def test_a_nested_summary_says_the_same_as_a_flat_one() -> None:
    flat = {
        "objectives/QED_maximize/raw_mean": 0.5,
        "objectives/QED_maximize/raw_std": math.nan,
        "objectives/SA_minimize/raw_mean": "2.5",
        "objectives/SA_minimize/raw_std": "high",
        "loss": 1,
    }
    nested_form = {
        "objectives": {
            "QED_maximize": {"raw_mean": 0.5, "raw_std": math.nan, "histogram": [1]},
            "SA_minimize": {"raw_mean": "2.5", "raw_std": "high"},
            "broken": 3,
        }
    }
    wanted = {
        "QED": {"direction": "maximize", "raw_mean": 0.5, "raw_std": math.nan},
        "SA": {"direction": "minimize", "raw_mean": 2.5},
    }
    assert repr(summary_objectives(flat)) == repr(wanted)
    assert repr(summary_objectives(nested_form)) == repr(wanted)


@QUICK
@given(st.dictionaries(st.sampled_from([*CONFIG_RULES, "objectives", "training"]), documents))
def test_no_config_whatever_is_in_it_makes_extraction_fail(config: dict[str, Any]) -> None:
    columns = RULES.columns(config)
    assert set(columns) <= set(CONFIG_RULES)
    for column, value in columns.items():
        assert isinstance(value, training_runs.c[column].type.python_type)
    config_objectives(config)
    RULES.summary_columns(config)
    summary_objectives(config)


@pytest.mark.parametrize("value", ["sometimes", 7, 0.5, ["yes"], {"on": 1}, None])
def test_what_is_neither_yes_nor_no_fills_no_flag(value: object) -> None:
    assert "gradient_checkpointing" not in RULES.columns({"gradient_checkpointing": value})
