"""Which settings matter: on runs whose truth is known."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from training_db.analysis.sensitivity.importance import FEWEST_RUNS, settings_importance
from training_db.analysis.sensitivity.sensitivity import Importance, Sensitivity
from training_db.analysis.sensitivity.settings_table import Setting, settings_table
from training_db.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Sequence


METHODS = ("mgda", "pcgrad", "cagrad")
NOISE = ("dropout", "clip", "decay", "width", "host", "shuffle", "seed")


def sweep(runs: int, seed: int) -> tuple[list[dict[str, Any]], list[float]]:
    """Return configs, and what came of them: by the rate and the method, and by chance."""
    random = np.random.default_rng(seed)
    configs, scores = [], []
    for number in range(runs):
        rate, method = random.uniform(-5, -1), int(random.integers(3))
        batch = int(2 ** random.integers(3, 8))
        configs.append(
            {
                "optimizer": {"lr": 10**rate, "name": "adam"},
                "warmup": rate + random.normal() * 0.9,  # goes with the rate, and does nothing
                "method": METHODS[method],
                "batch_size": batch,
                "accumulation": 256 // batch,  # what nothing can tell from the batch size
                "dropout": random.uniform(),
                "clip": float(random.choice([0.5, 1.0, 5.0])),
                "decay": 10 ** random.uniform(-6, -2),
                "width": int(random.choice([64, 128, 256])),
                "host": f"gpu-{random.integers(4)}",
                "shuffle": bool(random.integers(2)),
                "seed": number,
                "folder": f"/runs/{number}",
            }
        )
        scores.append(rate + [0.0, 1.0, 2.5][method] + random.normal() * 0.5)
    return configs, scores


def asked(configs: Sequence[Any], scores: Any, **options: Any) -> Sensitivity:
    table = settings_table([{"config_json": json.dumps(config)} for config in configs])
    return settings_importance(table.settings, scores, **{"seeds": 3} | options)


def by_name(found: Sensitivity) -> dict[str, Importance]:
    return {one.name: one for one in found.importances}


def numeric(name: str, values: Any) -> Setting:
    return Setting(name, "numeric", np.asarray(values, dtype=float))


@pytest.fixture(scope="module")
def swept() -> Sensitivity:
    return asked(*sweep(120, seed=1), name="QED", seeds=2)


def test_what_matters_comes_first_numbers_and_words(swept: Sensitivity) -> None:
    assert swept.can_tell
    assert swept.r2 is not None
    assert swept.r2 > 0.5
    assert [one.name for one in swept.importances[:2]] == ["optimizer.lr", "method"]
    for name, kind in (("optimizer.lr", "numeric"), ("method", "categorical")):
        one = by_name(swept)[name]
        assert (one.kind, one.matters) == (kind, True)
        assert 0 < one.low < one.mean < one.high
    assert swept.sentence.startswith("What matters for QED is optimizer.lr (")
    assert "over 120 runs" in swept.sentence


def test_noise_comes_out_around_nothing(swept: Sensitivity) -> None:
    for name in NOISE:
        one = by_name(swept)[name]
        assert not one.matters
        assert abs(one.mean) < 0.03
        assert one.low < 0.01
        assert "is not told from chance" in one.sentence


def test_what_goes_with_an_important_setting_is_told_from_it(swept: Sensitivity) -> None:
    rate, warmup = by_name(swept)["optimizer.lr"], by_name(swept)["warmup"]
    assert dict(rate.goes_with)["warmup"] == dict(warmup.goes_with)["optimizer.lr"] > 0.6
    assert warmup.mean < rate.mean / 10
    assert rate.partial_correlation is not None
    assert warmup.partial_correlation is not None
    assert rate.partial_correlation > 0.6
    assert abs(warmup.partial_correlation) < 0.3
    assert "it goes with warmup (0." in rate.sentence


def test_what_nothing_can_tell_apart_is_one(swept: Sensitivity) -> None:
    assert by_name(swept)["batch_size"].same_as == ("accumulation",)
    assert "accumulation" not in by_name(swept)


def test_words_have_no_partial_correlation_and_what_is_one_of_two_has(swept: Sensitivity) -> None:
    assert by_name(swept)["method"].partial_correlation is None
    assert "partial" not in by_name(swept)["method"].sentence
    flag = by_name(swept)["shuffle"]
    assert flag.partial_low is not None
    assert flag.partial_high is not None
    assert flag.partial_low < 0 < flag.partial_high


def test_the_answer_is_plain_json_with_its_sentences(swept: Sensitivity) -> None:
    plain = json.loads(json.dumps(swept.as_dict()))
    assert plain["sentence"] == swept.sentence
    assert plain["importances"][0]["name"] == "optimizer.lr"
    assert plain["importances"][0]["sentence"].startswith("optimizer.lr matters: importance ")


def test_settings_that_predict_together_may_be_hard_to_tell_from_chance_alone() -> None:
    none = Importance("lr", "numeric", 0.1, -0.1, 0.3, matters=False)
    answer = Sensitivity("QED", 40, (none,), r2=0.25, can_tell=True)
    assert answer.sentence == (
        "No single setting is told from chance for QED; "
        "over 40 runs the settings predict 25% of it."
    )


def test_an_importance_is_the_share_of_the_variance_that_a_setting_makes() -> None:
    random = np.random.default_rng(9)
    much, little, none = random.normal(size=(3, 200))
    settings = [numeric("much", much), numeric("little", little), numeric("none", none)]
    found = by_name(settings_importance(settings, 2 * much + little, seeds=2))  # 80 % and 20 %
    assert found["much"].mean == pytest.approx(0.8, abs=0.12)
    assert found["little"].mean == pytest.approx(0.2, abs=0.08)
    assert found["none"].mean == pytest.approx(0.0, abs=0.01)


def test_what_is_predicted_never_passes_the_whole() -> None:
    rate = np.arange(24.0)
    found = settings_importance([numeric("rate", rate)], rate, seeds=2)
    assert found.r2 is not None
    assert found.r2_high is not None
    assert 0.9 < found.r2 < found.r2_high <= 1


def test_noise_is_seldom_taken_for_what_matters() -> None:
    found = wrong = 0
    for seed in range(6):
        answer = by_name(asked(*sweep(48, seed), seeds=2))
        wrong += any(answer[name].matters for name in NOISE)
        found += answer["optimizer.lr"].matters
    assert found >= 5
    assert wrong <= 1


def test_one_setting_that_makes_a_little_is_told_though_forests_predict_hardly_anything() -> None:
    told = []
    for seed in range(1, 5):
        random = np.random.default_rng(seed)
        method = np.repeat(np.arange(3.0), 20)
        settings = [
            Setting("method", "categorical", method, METHODS),
            numeric("seed", np.tile(np.arange(20), 3)),
        ]
        score = 1.2 * (method == 2) + random.normal(size=60)
        found = settings_importance(settings, score, seeds=2)
        told.append(found.can_tell and by_name(found)["method"].matters)
        assert found.r2 is not None
        assert found.r2 < 0.3
    assert sum(told) >= 3


def test_what_matters_may_be_told_where_all_together_predict_nothing() -> None:
    little = Importance("lr", "numeric", 0.1, 0.02, 0.2, matters=True)
    answer = Sensitivity("QED", 60, (little,), r2=-0.02, can_tell=True)
    assert answer.sentence.endswith("is lr (0.10); over 60 runs the settings predict none of it.")


def test_runs_of_which_nothing_was_set_on_purpose_cannot_tell() -> None:
    told = 0
    for seed in range(4):
        configs, _ = sweep(48, seed)
        answer = asked(configs, np.random.default_rng(seed).normal(size=48), seeds=2)
        told += answer.can_tell
        if not answer.can_tell:
            assert answer.reason is not None
            assert "held out no better than the mean" in answer.reason
            assert answer.sentence.startswith("Which settings matter for the target cannot be")
            assert answer.importances
        assert answer.can_tell or not any(one.matters for one in answer.importances)
    assert told <= 1


def test_few_runs_cannot_tell() -> None:
    configs, scores = sweep(FEWEST_RUNS - 1, seed=0)
    answer = asked(configs, scores)
    assert (answer.can_tell, answer.importances, answer.r2) == (False, (), None)
    assert answer.reason == "too few runs have a value of it: 15, and 16 are needed"


def test_a_few_more_runs_tell_what_is_plain_to_see() -> None:
    random = np.random.default_rng(0)
    rate, other = random.normal(size=(2, 24))
    found = by_name(settings_importance([numeric("rate", rate), numeric("other", other)], rate))
    assert (found["rate"].matters, found["other"].matters) == (True, False)


def test_where_nothing_differs_there_is_nothing_to_tell() -> None:
    same = settings_importance([numeric("rate", range(20))], np.full(20, 3.0))
    assert same.reason == "it is 3 in all 20 runs"
    bare = settings_importance([], range(20))
    assert bare.reason == "no setting differs between the runs"
    assert not same.can_tell
    assert not bare.can_tell


def test_what_is_best_in_the_middle_matters_though_nothing_is_correlated() -> None:
    random = np.random.default_rng(2)
    rate, other = random.uniform(-1, 1, (2, 80))
    found = by_name(
        settings_importance([numeric("rate", rate), numeric("other", other)], -np.abs(rate))
    )
    assert found["rate"].matters
    assert found["rate"].partial_correlation is not None
    assert abs(found["rate"].partial_correlation) < 0.3


def test_scales_and_outliers_change_nothing() -> None:
    random = np.random.default_rng(3)
    rate, other = random.normal(size=(2, 40))
    score = rate + random.normal(size=40) * 0.3
    names = ("rate", "other")

    def answer(*columns: Any, of: Any) -> Sensitivity:
        runs = [
            {"config_json": json.dumps(dict(zip(names, row, strict=True)))}
            for row in zip(*columns, strict=True)
        ]
        return settings_importance(settings_table(runs).settings, of, seeds=2)

    plain = answer(rate.tolist(), other.tolist(), of=score)
    diverged = np.where(score == score.max(), 1e308, score)
    assert answer(np.exp(rate).tolist(), (other * 1e300).tolist(), of=diverged) == plain


def test_settings_that_few_runs_have_or_that_are_endless_are_taken_as_they_are() -> None:
    random = np.random.default_rng(11)
    rate = random.normal(size=30)
    rare = np.full(30, np.nan)
    rare[:2] = 1.0, 2.0
    endless = np.where(rate > 1, np.inf, np.where(rate < -1, -1e308, 1e308))
    each = Setting("each", "categorical", np.arange(30.0), tuple(map(str, range(30))))
    settings = [numeric("rate", rate), numeric("rare", rare), numeric("endless", endless), each]
    found = by_name(settings_importance(settings, rate * 1e307, seeds=2))
    assert found["rate"].matters
    assert not found["rare"].matters


def test_missing_values_are_values() -> None:
    random = np.random.default_rng(4)
    there = random.uniform(size=60) < 0.5
    rate = np.where(there, random.normal(size=60), np.nan)
    score = np.where(there, 2.0, 0.0) + random.normal(size=60) * 0.3
    found = settings_importance([numeric("rate", rate), numeric("x", score * 0 + range(60))], score)
    assert by_name(found)["rate"].matters


def test_the_same_seed_gives_the_same_answer() -> None:
    configs, scores = sweep(18, seed=5)
    one = asked(configs, scores, seeds=2, seed=7)
    assert asked(configs, scores, seeds=2, seed=7) == one
    assert asked(configs, scores, seeds=2, seed=8) != one


def test_more_confidence_makes_wider_intervals() -> None:
    configs, scores = sweep(18, seed=6)
    narrow = asked(configs, scores, seeds=2, confidence=0.5).importances[0]
    wide = asked(configs, scores, seeds=2, confidence=0.99).importances[0]
    assert wide.mean == narrow.mean
    assert wide.low < narrow.low < narrow.high < wide.high


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": [1.0, float("nan")]}, "no row of finite numbers"),
        ({"target": [[1.0], [2.0]]}, "no row of finite numbers"),
        ({"target": ["a", "b"]}, "no row of finite numbers"),
        ({"target": [10**400, 1]}, "no row of finite numbers"),
        ({"target": [1.0]}, "rate has 2 values and the target 1"),
        ({"seeds": 1}, "seeds is 1; pass a whole number, 2 or more"),
        ({"seeds": True}, "seeds is True"),
        ({"seed": -1}, "seed is -1"),
        ({"confidence": 1.5}, "confidence is 1.5"),
    ],
)
def test_what_cannot_be_used_is_said(options: dict[str, Any], message: str) -> None:
    asked_for = {"target": [1.0, 2.0]} | options
    with pytest.raises(InvalidValue, match=message):
        settings_importance([numeric("rate", [1, 2])], asked_for.pop("target"), **asked_for)
