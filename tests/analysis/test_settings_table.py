"""The settings of runs as columns, and how far they go together."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from training_db.analysis.sensitivity.association import association, merged
from training_db.analysis.sensitivity.partial_rank import partial_rank_correlation
from training_db.analysis.sensitivity.ranks import ranks
from training_db.analysis.sensitivity.run_settings import run_settings
from training_db.analysis.sensitivity.settings_table import (
    MISSING,
    Setting,
    SettingsTable,
    settings_table,
)
from training_db.errors import InvalidValue, UnknownName


def run_of(config: Any, **columns: Any) -> dict[str, Any]:
    return {"config_json": json.dumps(config), **columns}


def table_of(*configs: Any) -> SettingsTable:
    return settings_table([run_of(config) for config in configs])


def only(*values: Any) -> Setting:
    """Return the one setting that is made of such values."""
    (setting,) = table_of(*({"x": value} for value in values)).settings
    return setting


def why_not(*values: Any) -> str:
    """Return why such values make no setting."""
    table = table_of(*({"x": value} for value in values))
    assert table.settings == ()
    return dict(table.left_out)["x"]


def test_a_nested_config_is_dotted_names_and_lists_of_named_things_are_told_by_name() -> None:
    config = {
        "optimizer": {"lr": {"value": 0.1, "desc": None}},
        "hidden": [64, 32],
        "objectives": [{"name": "QED", "weight": 1}, {"name": "SA", "weight": 2}],
        "twice": [{"name": "a"}, {"name": "a"}],
        "_wandb": {"t": 1},
        "nothing": None,
        "empty": {},
    }
    assert run_settings(run_of(config)) == {
        "optimizer.lr": 0.1,
        "hidden": "[64, 32]",
        "objectives.QED.weight": 1,
        "objectives.SA.weight": 2,
        "twice": '[{"name": "a"}, {"name": "a"}]',
    }


def test_a_column_is_a_setting_where_the_config_did_not_fill_it() -> None:
    run = run_of({"training": {"learning_rate": 0.1}}, learning_rate=0.1, gradient_method="mgda")
    assert run_settings(run) == {"training.learning_rate": 0.1, "gradient_method": "mgda"}


@pytest.mark.parametrize("text", ["{broken", "[1]", "5", None, "[" * 100_000])
def test_a_config_that_is_none_has_no_settings(text: str | None) -> None:
    assert run_settings({"config_json": text, "beta": 0.5}) == {"beta": 0.5}


def test_numbers_become_their_places_whatever_their_size() -> None:
    values = [1e308, -1e308, 10**400, "1e-4", float("inf"), 0, -(10**400), 1e-320]
    setting = only(*values)
    assert (setting.kind, setting.levels) == ("numeric", ())
    assert setting.values.tolist() == [5, 1, 6, 4, 6, 2, 0, 3]


def test_a_number_that_is_missing_or_nan_is_nan() -> None:
    assert np.isnan(only(1, None, 2, float("nan")).values).tolist() == [False, True, False, True]


def test_bools_and_words_have_levels_and_what_is_missing_is_one_of_them() -> None:
    flag = only(True, False, True)
    assert (flag.kind, flag.levels, flag.values.tolist()) == ("bool", ("false", "true"), [1, 0, 1])
    assert flag.is_ordered
    word = only("adam", "sgd", None, "adam", "lion", "sgd", None, "adam")
    assert (word.kind, word.levels) == ("categorical", (MISSING, "adam", "lion", "sgd"))
    assert not word.is_ordered
    mixed = only("auto", 8, "auto", 8)
    assert (mixed.kind, mixed.levels) == ("categorical", ("8", "auto"))


def test_a_setting_that_only_some_runs_have_says_whether_they_have_it() -> None:
    setting = only(5, None, 5)
    assert (setting.kind, setting.levels) == ("categorical", (MISSING, "5"))


def test_of_many_words_the_frequent_ones_stay() -> None:
    words = [f"host-{number // 2}" for number in range(60)]
    setting = only(*(["often"] * 40 + words))
    assert len(setting.levels) == 12
    assert {"often", "(others)"} <= set(setting.levels)


def test_what_cannot_matter_is_left_out_and_said() -> None:
    assert why_not(3, 3) == "it is 3 in all runs"
    assert why_not("a" * 99, "a" * 99) == f"it is {'a' * 37}... in all runs"
    assert why_not(float("nan"), float("nan")) == "no run has a value of it"
    assert "6 values in 6 runs" in why_not(*(f"/runs/{number}" for number in range(6)))
    assert only(*range(6)).kind == "numeric"  # a seed may matter


def test_settings_are_chosen_by_their_names() -> None:
    runs = [run_of({"a": number, "b": -number}) for number in range(3)]
    assert [one.name for one in settings_table(runs, ["b", "b"]).settings] == ["b"]
    assert [one.name for one in settings_table(runs, "a").settings] == ["a"]
    with pytest.raises(UnknownName, match=r"unknown setting 'c'.*a, b"):
        settings_table(runs, ["c"])
    with pytest.raises(InvalidValue, match="5 is no text"):
        settings_table(runs, [5])  # type: ignore[list-item]
    with pytest.raises(InvalidValue, match="the settings are 5"):
        settings_table(runs, 5)  # type: ignore[arg-type]


def test_no_runs_have_no_settings() -> None:
    empty = settings_table([])
    assert (empty.settings, empty.left_out) == ((), ())


def numeric(values: Any) -> Setting:
    return Setting("n", "numeric", np.asarray(values, dtype=float))


def words(codes: Any) -> Setting:
    array = np.asarray(codes, dtype=float)
    return Setting("w", "categorical", array, tuple(map(str, range(int(array.max()) + 1))))


def test_settings_that_go_together_are_found_whatever_they_hold() -> None:
    random = np.random.default_rng(0)
    method = random.integers(0, 3, 200)
    follows = method + random.normal(size=200) * 0.1
    assert association(words(method), words((method + 1) % 3)) > 0.99
    assert association(words(method), numeric(follows)) > 0.9
    assert association(numeric(follows), words(method)) > 0.9
    assert association(numeric(follows), numeric(-(follows**3))) == pytest.approx(1)


def test_settings_that_have_nothing_to_do_with_each_other_do_not_go_together() -> None:
    random = np.random.default_rng(1)
    found = []
    for _ in range(20):
        one, other = random.integers(0, 8, (2, 60))
        number = random.normal(size=60)
        found += [association(words(one), words(other)), association(words(one), numeric(number))]
        found.append(association(numeric(number), numeric(random.normal(size=60))))
    assert np.mean(found) < 0.1
    assert max(found) < 0.5


def test_what_says_nothing_goes_with_nothing() -> None:
    each = words(np.arange(6))
    assert association(each, numeric([1, 2, 1, 2, 1, 2])) == 0
    assert association(each, words([0, 1, 2, 0, 1, 2])) == 0
    assert association(words([0, 1, 2, 0, 1, 2]), numeric(np.full(6, np.nan))) == 0


def test_settings_that_always_change_together_are_one_group() -> None:
    random = np.random.default_rng(2)
    lr = random.normal(size=40)
    method = random.integers(0, 3, 40)
    settings = [
        numeric(lr), words(method), numeric(-np.exp(lr)), words((method + 1) % 3), numeric(method),
        numeric(lr + random.normal(size=40)), words(random.integers(0, 3, 40)),
    ]  # fmt: skip
    groups = [[settings.index(one) for one in group] for group in merged(settings)]
    assert groups == [[0, 2], [1, 3, 4], [5], [6]]


def test_ranks_of_nothing_that_differs_are_zero() -> None:
    assert ranks(np.array([2.0, 2.0, np.nan])).tolist() == [0, 0, 0]
    assert ranks(np.full(3, np.nan)).tolist() == [0, 0, 0]
    assert ranks(np.array([np.inf, -np.inf, 0.0])).round(2).tolist() == [1.22, -1.22, 0]


def test_partial_correlations_are_those_of_the_inverse_correlation_matrix() -> None:
    random = np.random.default_rng(3)
    columns = random.normal(size=(80, 4)) @ random.normal(size=(4, 4))
    placed = np.column_stack([ranks(column) for column in columns.T])
    inverse = np.linalg.inv(np.corrcoef(placed.T))
    expected = -inverse[0, 1] / np.sqrt(inverse[0, 0] * inverse[1, 1])
    found = partial_rank_correlation(placed[:, 0], placed[:, 1], placed[:, 2:])
    assert found is not None
    correlation, low, high = found
    assert correlation == pytest.approx(expected)
    assert low < correlation < high


def test_the_interval_of_a_partial_correlation_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(4)
    held = 0
    for _ in range(300):
        control, noise, other = random.normal(size=(3, 50))
        found = partial_rank_correlation(
            ranks(control + noise), ranks(control + other), ranks(control)[:, None]
        )
        assert found is not None
        held += found[1] <= 0 <= found[2]
    assert 0.90 <= held / 300 <= 0.99


def test_where_the_others_leave_nothing_there_is_no_partial_correlation() -> None:
    random = np.random.default_rng(5)
    one, target = random.normal(size=(2, 30))
    assert partial_rank_correlation(one, target, one[:, None]) is None
    assert partial_rank_correlation(one, target, random.normal(size=(30, 26))) is None
    whole = partial_rank_correlation(one, -one, np.empty((30, 0)))
    assert whole is not None
    assert whole[0] == pytest.approx(-1)
    assert whole[2] < -0.99
