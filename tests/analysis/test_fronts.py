"""Fronts of the runs and scaffolds of a database, and the ranks that are stored."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import text

from training_db.documents import encode
from training_db.errors import InvalidValue, MetricNotFound, RunNotFound, UnknownName
from training_db.repository.scaffold_ranks import ScaffoldScores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training_db import TrainingDB

NAN, INF = math.nan, math.inf


def add_run(db: TrainingDB, run_id: str, scores: Mapping[str, float | None], **fields: Any) -> None:
    db.runs.insert(run_id, **fields)
    for name, score in scores.items():
        db.objectives.insert(run_id, name, raw_mean=score)


@pytest.fixture
def scored(db: TrainingDB) -> TrainingDB:
    """Four runs that have all scores, and four that lack one."""
    for run_id, (qed, sa) in {
        "worst": (0.1, 9), "light": (0.5, 1), "middle": (0.8, 2), "strong": (0.9, 5),
    }.items():  # fmt: skip
        add_run(db, run_id, {"QED": qed, "SA": sa})
    add_run(db, "no-sa", {"QED": 1.0})
    add_run(db, "nan", {"QED": NAN, "SA": 0.0})
    add_run(db, "inf", {"QED": INF, "SA": 0.0})
    add_run(db, "null", {"QED": None, "SA": None})
    return db


def ranks(db: TrainingDB, run_id: str = "r1") -> dict[str, int | None]:
    return {row["scaffold_id"]: row["pareto_rank"] for row in db.scaffolds.query(run_id)}


def test_runs_are_ranked_and_those_that_lack_a_score_are_named(scored: TrainingDB) -> None:
    front = scored.analysis.pareto({"QED": "max", "SA": "min"})
    assert dict(front.ranks) == {"worst": 2, "light": 1, "middle": 1, "strong": 1}
    assert front.front == ["light", "middle", "strong"]
    assert (front.names, front.directions) == (("QED", "SA"), ("maximize", "minimize"))
    assert dict(front.missing) == {
        "no-sa": ("SA",), "nan": ("QED",), "inf": ("QED",), "null": ("QED", "SA"),
    }  # fmt: skip
    assert front.scores.tolist() == [[0.1, 9], [0.5, 1], [0.8, 2], [0.9, 5]]
    assert front.scores_of("light") == {"QED": 0.5, "SA": 1.0}
    assert front.dominated_by("worst") == ["light", "middle", "strong"]
    assert front.dominates("middle") == ["worst"]
    assert front.dominated_by("light") == []
    assert front.knee == "middle"
    assert front.hypervolume.reference == pytest.approx((0.02, 9.8))
    assert json.loads(encode(front.as_dict()))["ranked"][-1]["run_id"] == "worst"


@pytest.mark.parametrize(("at_once", "many"), [(1, 20), (3, 20), (3, 2)])
def test_any_number_of_runs_is_read_alike(
    scored: TrainingDB, monkeypatch: pytest.MonkeyPatch, at_once: int, many: int
) -> None:
    asked = {"QED": "max", "SA": "min", "number": "max"}
    usual = scored.analysis.pareto(asked, "objective.SA > 1").as_dict()
    monkeypatch.setattr("training_db.repository.run_scores._AT_ONCE", at_once)
    monkeypatch.setattr("training_db.repository.run_scores._MANY", many)
    assert scored.analysis.pareto(asked, "objective.SA > 1").as_dict() == usual
    assert [row["run_id"] for row in usual["ranked"]] == ["middle", "strong", "worst"]


def test_another_direction_makes_another_front(scored: TrainingDB) -> None:
    assert scored.analysis.pareto({"QED": "min", "SA": "max"}).front == ["worst"]
    assert scored.analysis.pareto({"SA": "min"}).front == ["nan", "inf"]


def test_a_filter_chooses_the_runs_and_the_trash_is_no_run(scored: TrainingDB) -> None:
    front = scored.analysis.pareto({"QED": "max", "SA": "min"}, "objective.QED < 0.7")
    assert dict(front.ranks) == {"worst": 2, "light": 1}
    assert dict(front.missing) == {}
    scored.runs.delete("light")
    assert scored.analysis.pareto({"SA": "min"}, {"status": "launched"}).ranks.keys() == {
        "worst", "middle", "strong", "nan", "inf",
    }  # fmt: skip
    nothing = scored.analysis.pareto({"QED": "max"}, "status = 'failed'")
    assert (nothing.front, nothing.knee, nothing.hypervolume.volume) == ([], None, 0.0)


def test_an_item_without_a_rank_is_not_asked_about(scored: TrainingDB) -> None:
    front = scored.analysis.pareto({"QED": "max", "SA": "min"})
    with pytest.raises(UnknownName, match="lacks SA"):
        front.dominates("no-sa")
    with pytest.raises(UnknownName, match="worst"):
        front.dominated_by("other")


def test_the_reference_is_named_or_listed(scored: TrainingDB) -> None:
    asked = {"QED": "max", "SA": "min"}
    by_name = scored.analysis.pareto(asked, reference={"SA": 10, "QED": 0}).hypervolume
    listed = scored.analysis.pareto(asked, reference=[0, 10]).hypervolume
    assert by_name == listed
    assert by_name.volume == pytest.approx(0.5 * 9 + 0.3 * 8 + 0.1 * 5)
    with pytest.raises(InvalidValue, match="'QED', 'SA'"):
        scored.analysis.pareto(asked, reference={"QED": 0})
    for odd in ([0], 5, {"QED": NAN, "SA": 1}, {"QED": "x", "SA": 1}):
        with pytest.raises(InvalidValue, match="2 objectives"):
            scored.analysis.pareto(asked, reference=odd)


def test_other_numbers_of_a_run_are_objectives_too(db: TrainingDB) -> None:
    for run_id, (qed, hours, low) in {"a": (0.5, 2, 0.1), "b": (0.4, 1, 0.3)}.items():
        add_run(
            db, run_id, {"QED": qed}, duration_seconds=hours * 3600,
            config={"optimizer": {"lr": low}}, summary={"eval/score": low, "text": "x"},
        )  # fmt: skip
        db.history.append(run_id, {"loss": [9.0, low, 1.0]})
    db.runs.insert("c", config={"optimizer": "none"})
    pareto = db.analysis.pareto
    assert pareto({"QED": "max", "duration_seconds": "min"}).front == ["a", "b"]
    assert pareto({"metric.loss.min": "min"}).scores.tolist() == [[0.1], [0.3]]
    assert pareto({"metric.loss": "min"}).scores.tolist() == [[1.0], [1.0]]
    assert pareto({"summary.eval/score": "max"}).front == ["b"]
    found = pareto({"config.optimizer.lr": "min"})
    assert (found.front, dict(found.missing)) == (["a"], {"c": ("config.optimizer.lr",)})
    assert dict(pareto({"summary.text": "max"}).ranks) == {}
    assert pareto({"objective.QED": "max"}).front == ["a"]
    db.objectives.insert("b", "beta", raw_mean=3.0)  # of a column's name
    assert pareto({"beta": "max"}).scores.tolist() == [[3.0]]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("QEDD", UnknownName, "did you mean 'QED'"),
        ("objective.QEDD", UnknownName, "did you mean 'QED'"),
        ("metric.loss", MetricNotFound, "loss"),
        ("tag.best", InvalidValue, "is text"),
        ("host", InvalidValue, "host is no number"),
        ("created_at", InvalidValue, "is no number"),
        ("history_json", InvalidValue, "is no number"),
        ("config.", UnknownName, "config."),
        ("", InvalidValue, "is no name"),
        (5, InvalidValue, "5 is no name"),
        ("a\x00b", InvalidValue, "NUL"),
    ],
)
def test_a_name_of_no_number_is_refused(
    scored: TrainingDB, name: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        scored.analysis.pareto({name: "max"})


@pytest.mark.parametrize("objectives", [{}, [], 5])
def test_no_objectives_are_refused(db: TrainingDB, objectives: Any) -> None:
    with pytest.raises(InvalidValue):
        db.analysis.pareto(objectives)
    with pytest.raises(InvalidValue):
        db.analysis.scaffold_pareto(objectives)


def test_a_direction_that_is_not_said_is_the_one_that_runs_have_stored(db: TrainingDB) -> None:
    for number in (1, 2):
        db.runs.insert(f"r{number}", config={"objectives": ["QED_maximize", "SA_minimize", "x"]})
        db.objectives.insert(f"r{number}", "QED", raw_mean=number)
        db.objectives.insert(f"r{number}", "SA", raw_mean=number, normalized_mean=-number)
    whole = db.analysis.pareto()
    assert dict(zip(whole.names, whole.directions, strict=True)) == {
        "QED": "maximize", "SA": "minimize",
    }  # fmt: skip
    assert whole.front == ["r1", "r2"]
    assert db.analysis.pareto("SA").front == ["r1"]
    assert db.analysis.pareto(["SA", "SA"]).names == ("SA",)
    assert db.analysis.pareto({"objective.SA": None, "QED": "min"}).front == ["r1"]
    with pytest.raises(InvalidValue, match="'x' is better"):
        db.analysis.pareto(["x"])
    # More of a normalized score is better as a rule, whichever way the raw one is.
    with pytest.raises(InvalidValue, match="normalized_mean"):
        db.analysis.pareto(["SA"], statistic="normalized_mean")
    with pytest.raises(InvalidValue, match="normalized_mean"):
        db.analysis.pareto(["objective.SA.normalized_mean"])
    normalized = db.analysis.pareto({"SA": "max"}, statistic="normalized_mean")
    assert (normalized.front, normalized.scores.tolist()) == (["r1"], [[-1.0], [-2.0]])
    assert db.analysis.pareto({"objective.SA.normalized_mean": "max"}).front == ["r1"]
    with pytest.raises(UnknownName, match="raw_mean"):
        db.analysis.pareto({"SA": "max"}, statistic="median")


def test_runs_that_have_stored_different_directions_are_named(db: TrainingDB) -> None:
    db.runs.insert("up", config={"objectives": ["QED_maximize"]}, host="a")
    db.runs.insert("down", config={"objectives": ["QED_minimize"]}, host="b")
    db.runs.insert("silent", config={"objectives": ["QED"]})
    with pytest.raises(InvalidValue, match="'up' says maximize and run 'down' says minimize"):
        db.analysis.pareto(["QED"])
    assert db.analysis.pareto(["QED"], "host = 'b'").directions == ("minimize",)
    with pytest.raises(InvalidValue, match="no run that matches"):
        db.analysis.pareto(filter="host = 'c'")


def test_scaffolds_of_each_run_are_ranked_and_their_ranks_are_stored(db: TrainingDB) -> None:
    config = {"objectives": ["QED_maximize", "SA_minimize"]}
    for run_id in ("r1", "r2"):
        db.runs.insert(run_id, config=config)
    db.scaffolds.insert("r1", {
        "a": {"QED": 0.9, "SA": 2}, "b": {"QED": 0.5, "SA": 1}, "c": {"QED": 0.4, "SA": 1.5},
        "nan": {"QED": NAN, "SA": 0}, "inf": {"QED": INF, "SA": 0}, "lacks": {"SA": 0},
        "text": {"QED": "0.9", "SA": 0}, "flag": {"QED": True, "SA": 0}, "null": {"QED": None},
        "long": {"QED": 10**400, "SA": 0}, "list": {"QED": [1], "SA": 0},
    })  # fmt: skip
    db.scaffolds.insert("r1", [{"scaffold_id": "lacks", "pareto_rank": 7}, {"scaffold_id": "bare"}])
    db.scaffolds.insert("r2", {"a": {"QED": 0.1, "SA": 9}})
    ranked = db.analysis.scaffold_pareto()
    assert ranked.front == [("r1", "a"), ("r1", "b"), ("r2", "a")]
    assert {item: rank for (_, item), rank in ranked.fronts[0].ranks.items()} == {
        "a": 1, "b": 1, "c": 2,
    }  # fmt: skip
    assert ranked.missing[("r1", "bare")] == ("QED", "SA")
    assert ranked.missing[("r1", "nan")] == ("QED",)
    assert len(ranked.missing) == 9
    assert ranked.ranks[("r2", "a")] == 1
    assert ranked.saved == 5  # four got a rank, one lost its own
    stored = ranks(db)
    assert {name: rank for name, rank in stored.items() if rank} == {"a": 1, "b": 1, "c": 2}
    assert ranks(db, "r2") == {"a": 1}
    assert db.analysis.scaffold_pareto().saved == 0
    assert json.loads(encode(ranked.as_dict()))["fronts"][1]["ranked"][0]["scaffold_id"] == "a"


def test_scaffolds_of_all_runs_are_ranked_together(db: TrainingDB) -> None:
    for run_id, qed in (("r1", 0.5), ("r2", 0.9), ("trash", 1.0)):
        db.runs.insert(run_id, config={"objectives": ["QED_maximize"]})
        db.scaffolds.insert(run_id, {"a": {"QED": qed}})
    db.runs.delete("trash")
    together = db.analysis.scaffold_pareto(scope="all", save=False)
    assert (together.front, together.saved) == ([("r2", "a")], None)
    assert ranks(db, "r1") == {"a": None}
    assert db.analysis.scaffold_pareto({"QED": "min"}, scope="all").front == [("r1", "a")]
    assert (ranks(db, "r1"), ranks(db, "r2"), ranks(db, "trash")) == (
        {"a": 1}, {"a": 2}, {"a": None},
    )  # fmt: skip


def test_one_run_or_those_of_a_filter_are_ranked(db: TrainingDB) -> None:
    for run_id in ("r1", "r2"):
        db.runs.insert(run_id, host=run_id)
        db.scaffolds.insert(run_id, {"a": {"QED": 1}, "b": {"QED": 2}})
    db.analysis.scaffold_pareto({"QED": "max"}, run_id="r1")
    db.analysis.scaffold_pareto({"QED": "min"}, filter="host = 'r2'")
    assert (ranks(db, "r1"), ranks(db, "r2")) == ({"a": 2, "b": 1}, {"a": 1, "b": 2})
    db.runs.delete("r1")  # one that is named is looked at in the trash too, as by db.scaffolds
    assert db.analysis.scaffold_pareto({"QED": "min"}, run_id="r1").saved == 2
    with pytest.raises(InvalidValue, match="one of them"):
        db.analysis.scaffold_pareto({"QED": "max"}, run_id="r1", filter="host = 'r2'")
    with pytest.raises(RunNotFound):
        db.analysis.scaffold_pareto({"QED": "max"}, run_id="r9")
    with pytest.raises(UnknownName, match="run, all"):
        db.analysis.scaffold_pareto({"QED": "max"}, scope="each")


def test_each_run_ranks_by_its_own_directions_and_one_without_is_skipped(db: TrainingDB) -> None:
    for run_id, objective in (("up", "QED_maximize"), ("down", "QED_minimize"), ("none", "QED")):
        db.runs.insert(run_id, config={"objectives": [objective, "unscored_maximize"]})
        db.scaffolds.insert(run_id, {"a": {"QED": 1}, "b": {"QED": 2}})
    db.scaffolds.insert("none", [{"scaffold_id": "a", "pareto_rank": 5}])
    ranked = db.analysis.scaffold_pareto()
    assert ranked.front == [("up", "b"), ("down", "a")]
    assert ranked.fronts[0].names == ("QED",)
    assert list(ranked.skipped) == ["none"]
    assert ranks(db, "none") == {"a": 5, "b": None}
    said = db.analysis.scaffold_pareto(["QED"], save=False)
    assert (said.front, said.skipped) == (
        ranked.front, {"none": "it has not stored which way 'QED' is better"},
    )  # fmt: skip
    with pytest.raises(InvalidValue, match="do not agree"):
        db.analysis.scaffold_pareto(["QED"], scope="all")
    with pytest.raises(InvalidValue, match="do not agree"):
        db.analysis.scaffold_pareto(scope="all")
    with pytest.raises(InvalidValue, match="'none', it has stored no direction"):
        db.analysis.scaffold_pareto(run_id="none")
    with pytest.raises(InvalidValue, match="stored a direction"):
        db.analysis.scaffold_pareto(run_id="none", scope="all")


def test_a_mistyped_objective_erases_no_rank(db: TrainingDB) -> None:
    db.runs.insert("r1", config={"objectives": ["QED_maximize"]})
    db.scaffolds.insert("r1", [{"scaffold_id": "a", "scores": {"QED": 1}, "pareto_rank": 3}])
    with pytest.raises(UnknownName, match="did you mean 'QED'"):
        db.analysis.scaffold_pareto({"QEDD": "max"})
    assert ranks(db) == {"a": 3}
    db.scaffolds.insert("r1", {"b": {"SA": 1}})
    assert db.analysis.scaffold_pareto({"QED": "max"}).front == [("r1", "a")]


def test_scores_may_stand_under_the_label_of_their_objective(db: TrainingDB) -> None:
    db.runs.insert("r1", config={"objectives": ["QED_maximize"]})
    db.scaffolds.insert("r1", {"a": {"QED_maximize": 1}, "b": {"QED_maximize": 2}})
    db.scaffolds.insert("r1", {"both": {"QED_maximize": 1, "QED_minimize": 2}})
    ranked = db.analysis.scaffold_pareto(run_id="r1")
    assert ranked.front == [("r1", "b")]
    assert list(ranked.missing) == [("r1", "both")]


@pytest.mark.parametrize("scope", ["run", "all"])
def test_no_scaffolds_have_no_front(db: TrainingDB, scope: str) -> None:
    db.runs.insert("r1", config={"objectives": ["QED_maximize"]})
    for objectives in (None, {"QED": "max"}):
        ranked = db.analysis.scaffold_pareto(objectives, scope=scope)
        assert (ranked.fronts, ranked.saved, ranked.front) == ((), 0, [])


def test_scores_that_somebody_else_wrote_are_read_or_missing(db: TrainingDB) -> None:
    db.runs.insert("r1")
    texts = {
        "bare nan": '{"QED": NaN}', "broken": "{QED", "a list": "[1]", "empty": "",
        "good": '{"QED": 1}', "tags": '{"QED": {"$float": "NaN"}}', "broken tags": '{"$',
        "huge": '{"QED": 1e999}',
    }  # fmt: skip
    db.scaffolds.insert("r1", {name: {} for name in texts})
    with db.engine.begin() as connection:
        for name, scores in texts.items():
            connection.execute(
                text("UPDATE run_scaffolds SET scores_json = :scores WHERE scaffold_id = :name"),
                {"scores": scores, "name": name},
            )
    ranked = db.analysis.scaffold_pareto({"QED": "max"})
    assert ranked.front == [("r1", "good")]
    assert len(ranked.missing) == len(texts) - 1


def test_a_summary_that_somebody_else_wrote_is_read_or_missing(db: TrainingDB) -> None:
    for run_id in ("good", "broken", "list"):
        db.runs.insert(run_id, summary={"score": 1})
    with db.engine.begin() as connection:
        for run_id, summary in (("broken", "{score"), ("list", "[1]")):
            connection.execute(
                text("UPDATE training_runs SET final_metrics_json = :summary WHERE run_id = :run"),
                {"summary": summary, "run": run_id},
            )
    front = db.analysis.pareto({"summary.score": "max"})
    assert (front.front, list(front.missing)) == (["good"], ["broken", "list"])


def test_ranks_are_stored_all_or_not_at_all(db: TrainingDB) -> None:
    db.runs.insert("r1")
    db.scaffolds.insert("r1", {f"s{n}": {"QED": n} for n in range(30)})
    with pytest.raises(ZeroDivisionError), db.transaction():
        assert db.analysis.scaffold_pareto({"QED": "max"}).saved == 30
        _ = 1 / 0
    assert set(ranks(db).values()) == {None}
    with db.transaction():  # twice in one
        db.analysis.scaffold_pareto({"QED": "max"})
        assert db.analysis.scaffold_pareto({"QED": "min"}).saved == 30
    assert ranks(db)["s0"] == 1


def test_a_scaffold_that_is_gone_or_new_since_it_was_read_is_left_alone(db: TrainingDB) -> None:
    for run_id in ("r1", "r2"):
        db.runs.insert(run_id)
    db.scaffolds.insert("r1", {"a": {"QED": 1}})
    db.scaffolds.insert("r2", {"z": {"QED": 1}})
    read = db.scaffolds.scores(["QED"])
    with db.engine.begin() as connection:  # SQLite gives the last id again
        connection.execute(text("DELETE FROM run_scaffolds WHERE scaffold_id = 'z'"))
    db.scaffolds.insert("r2", {"new": {"QED": 1}})
    assert db.scaffolds.set_pareto_ranks(read, [1, 1]) == 1
    assert (ranks(db, "r1"), ranks(db, "r2")) == ({"a": 1}, {"new": None})


@pytest.mark.parametrize(
    "given",
    [
        [1],
        [1, -1],
        [1.0, 2.0],
        [1, "x"],
        [[1, 2]],
        np.array([1, 2**63], dtype=np.uint64),
        [1, None],
    ],
    ids=str,
)
def test_ranks_that_are_no_ranks_are_refused(db: TrainingDB, given: Any) -> None:
    db.runs.insert("r1")
    db.scaffolds.insert("r1", {"a": {"QED": 1}, "b": {"QED": 2}})
    read = db.scaffolds.scores(["QED"])
    with pytest.raises(InvalidValue, match="rank"):
        db.scaffolds.set_pareto_ranks(read, given)
    assert set(ranks(db).values()) == {None}


def test_no_ranks_are_none_to_store(db: TrainingDB) -> None:
    nothing = ScaffoldScores(np.empty(0, dtype=np.int64), (), np.empty((0, 1)))
    assert db.scaffolds.set_pareto_ranks(nothing, []) == 0


def test_many_scaffolds_of_many_runs_are_ranked_and_stored_in_few_queries(db: TrainingDB) -> None:
    rng = np.random.default_rng(0)
    for number in range(20):
        db.runs.insert(f"r{number}")
        scores = rng.random((50, 3)).tolist()
        db.scaffolds.insert(
            f"r{number}",
            {f"s{n}": dict(zip("abc", row, strict=True)) for n, row in enumerate(scores)},
        )
    count = 0

    def counted(*_: object) -> None:
        nonlocal count
        count += 1

    from sqlalchemy import event

    event.listen(db.engine, "before_cursor_execute", counted)
    ranked = db.analysis.scaffold_pareto(dict.fromkeys("abc", "max"))
    event.remove(db.engine, "before_cursor_execute", counted)
    assert count <= 8
    assert (len(ranked.fronts), ranked.saved) == (20, 1_000)
    first = db.scaffolds.query("r3")
    assert {row["scaffold_id"]: row["pareto_rank"] for row in first} == {
        name: rank for (_, name), rank in ranked.fronts[3].ranks.items()
    }
