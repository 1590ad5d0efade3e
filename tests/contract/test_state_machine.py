"""Any sequence of calls, on both backends at once: each does what a plain dict does."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from sqlalchemy import text

from tests import torture
from tests.contract.conftest import empty
from tests.contract.filter_trees import asks_for_what_is_not_finite, of_column, trees
from tests.contract.plain_runs import LONG_AGO, PlainRuns, everything_in
from tests.unit.strategies import SLOW, same
from training_db.errors import MetricNotFound, TrainingDBError
from training_db.models import METRIC_STATISTICS
from training_db.repository.filters import ColumnField, Missing
from training_db.upkeep import gc
from training_db.upkeep.gc import collect, plan

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from training_db import TrainingDB
    from training_db.repository.filters import Filter

RUNS = ["a", "b", "it's", "日本", "100%", 'say "hi"']
METRICS = ["loss", "eval/it's", "loss%"]
DELETED = "2024-05-06T07:08:09.000000Z"  # of the plain dict; the databases have their own clocks
IN_THE_FUTURE = "2100-01-01"
FALLS_SILENT = text(
    "UPDATE training_runs SET heartbeat_at = :moment "
    "WHERE run_id = :run_id AND heartbeat_at IS NOT NULL"
)
REALS = [0.0, 1.0, -1.0, 0.5, 0.1, 1e300, 5e-324, math.nan, math.inf, -math.inf]

run_ids = st.sampled_from(RUNS)
some_runs = st.lists(run_ids, max_size=3)
reals = st.sampled_from(REALS)
finite = st.sampled_from([value for value in REALS if math.isfinite(value)])
names = st.sampled_from(["QED", "it's"])
metrics = st.sampled_from(METRICS)
tags = st.sampled_from(["keep", "it's"])
texts = st.sampled_from(["a", "A", "a%b", "ü", "it's"])
statuses = st.sampled_from(["launched", "running", "completed", "failed", "crashed"])
fields = st.fixed_dictionaries(
    {},
    optional={
        "host": texts,
        "batch_size": st.sampled_from([0, 8, 2**53 + 1]),
        "learning_rate": reals,
        "status": statuses,
    },
)
histories = st.dictionaries(
    metrics, st.lists(st.none() | reals, min_size=1, max_size=5), min_size=1, max_size=3
)
filters = trees(
    st.one_of(
        of_column("learning_rate", finite),
        of_column("batch_size", st.sampled_from([0, 8, 2**53])),
        of_column("host", texts),
        of_column("status", statuses, ordered=False),
        of_column("objective.QED.raw_mean", finite),
        of_column("tag.keep", texts, ordered=False),
        st.sampled_from(METRIC_STATISTICS).flatmap(
            lambda statistic: of_column(f"metric.loss.{statistic}", finite)
        ),
        st.builds(Missing, st.just(ColumnField("deleted_at")), negated=st.booleans()),
    )
)


class GivenUp(Exception):
    """What somebody's own code raises inside a transaction."""


class Calls(RuleBasedStateMachine):
    """Calls that are made on two databases and on a plain dict.

    Args:
        both: The databases.
    """

    def __init__(self, both: tuple[TrainingDB, TrainingDB]) -> None:
        super().__init__()
        self.both, self.plain = both, PlainRuns()
        for db in both:
            empty(db)

    def same(self, real: Callable[[TrainingDB], Any], plain: Callable[[PlainRuns], Any]) -> None:
        """Make a call on all of them, and compare what comes of it: a value, or an error."""
        expected = outcome(plain, self.plain)
        for db in self.both:
            found = outcome(real, db)
            assert same(found, expected), (db.engine.name, found, expected)

    @rule(run_id=run_ids, given=fields)
    def insert(self, run_id: str, given: dict[str, Any]) -> None:
        self.same(
            lambda db: db.runs.insert(run_id, **given), lambda plain: plain.insert(run_id, given)
        )

    @rule(new=st.lists(st.tuples(run_ids, fields), min_size=1, max_size=3))
    def insert_many(self, new: list[tuple[str, dict[str, Any]]]) -> None:
        self.same(
            lambda db: db.runs.insert_many({"run_id": run_id, **given} for run_id, given in new),
            lambda plain: plain.insert_many(new),
        )

    @rule(run_id=run_ids)
    def ensure(self, run_id: str) -> None:
        self.same(lambda db: db.runs.ensure(run_id), lambda plain: plain.ensure(run_id))

    @rule(run_id=run_ids, given=fields)
    def update(self, run_id: str, given: dict[str, Any]) -> None:
        self.same(
            lambda db: db.runs.update(run_id, **given), lambda plain: plain.update(run_id, given)
        )

    @rule(moved=some_runs)
    def delete(self, moved: list[str]) -> None:
        self.same(lambda db: db.runs.delete(*moved), lambda plain: plain.move(moved, DELETED))

    @rule(moved=some_runs)
    def restore(self, moved: list[str]) -> None:
        self.same(lambda db: db.runs.restore(*moved), lambda plain: plain.move(moved, None))

    @rule(run_id=run_ids, name=tags, value=st.none() | texts)
    def tag(self, run_id: str, name: str, value: str | None) -> None:
        self.same(
            lambda db: db.tags.add(run_id, name, value),
            lambda plain: plain.of(run_id)["tags"].update({name: value}),
        )

    @rule(run_id=run_ids, name=tags)
    def untag(self, run_id: str, name: str) -> None:
        self.same(lambda db: db.tags.remove(run_id, name), lambda plain: plain.untag(run_id, name))

    @rule(run_id=run_ids, name=names, given=st.dictionaries(st.just("raw_mean"), reals))
    def objective(self, run_id: str, name: str, given: dict[str, float]) -> None:
        self.same(
            lambda db: db.objectives.insert(run_id, name, **given),
            lambda plain: plain.objective(run_id, name, given),
        )

    @rule(run_id=run_ids, name=names, statistic=st.sampled_from(["raw_mean", "raw_std"]),
          value=reals)  # fmt: skip
    def update_objective(self, run_id: str, name: str, statistic: str, value: float) -> None:
        self.same(
            lambda db: db.objectives.update_metric(run_id, name, statistic, value),
            lambda plain: plain.update_objective(run_id, name, statistic, value),
        )

    @rule(run_id=run_ids,
          scores=st.dictionaries(st.sampled_from(["c1ccccc1", "C=O"]),
                                 st.dictionaries(names, finite)))  # fmt: skip
    def scaffolds(self, run_id: str, scores: dict[str, dict[str, float]]) -> None:
        self.same(
            lambda db: db.scaffolds.insert(run_id, scores),
            lambda plain: plain.scaffolds(run_id, scores),
        )

    @rule(run_id=run_ids, history=histories)
    def append(self, run_id: str, history: dict[str, list[float | None]]) -> None:
        self.same(
            lambda db: db.history.append(run_id, history),
            lambda plain: plain.append(run_id, history),
        )

    @rule(run_id=run_ids, history=histories)
    def replace_history(self, run_id: str, history: dict[str, list[float | None]]) -> None:
        self.same(
            lambda db: db.runs.update(run_id, history_json=history),
            lambda plain: plain.replace(run_id, history),
        )

    @rule(run_id=run_ids, names=st.none() | st.lists(metrics, min_size=1, max_size=2, unique=True))
    def delete_history(self, run_id: str, names: list[str] | None) -> None:
        self.same(
            lambda db: db.history.delete(run_id, names), lambda plain: plain.forget(run_id, names)
        )

    @rule(run_id=run_ids)
    def compact(self, run_id: str) -> None:
        self.same(lambda db: db.history.compact(run_id), lambda plain: plain.of(run_id) and None)

    @rule(run_id=run_ids)
    def beat(self, run_id: str) -> None:
        self.same(lambda db: db.runs.beat(run_id), lambda plain: plain.beat(run_id))

    @rule(run_id=run_ids)
    def fall_silent(self, run_id: str) -> None:
        for db in self.both:
            with db.engine.begin() as connection:
                connection.execute(FALLS_SILENT, {"moment": LONG_AGO, "run_id": run_id})
        self.plain.fall_silent(run_id)

    @rule()
    def reap(self) -> None:
        self.same(
            lambda db: sorted(run["run_id"] for run in db.runs.reap()), lambda plain: plain.reap()
        )

    @rule()
    def collect(self) -> None:
        self.same(
            lambda db: sorted(collect(db, plan(db, before=IN_THE_FUTURE)).run_ids),
            lambda plain: plain.empty_the_trash(),
        )

    @rule(run_id=run_ids, given=fields, history=histories, moved=some_runs)
    def give_up_a_transaction(
        self, run_id: str, given: dict[str, Any], history: dict[str, Any], moved: list[str]
    ) -> None:
        for db in self.both:
            with suppress(GivenUp), db.transaction():
                for call in (
                    lambda db: db.runs.insert(run_id, **given),
                    lambda db: db.history.append(run_id, history),
                    lambda db: db.runs.delete(*moved),
                    lambda db: db.history.delete(run_id),
                    lambda db: db.tags.add(run_id, "keep"),
                ):
                    outcome(call, db)
                raise GivenUp

    @rule()
    def connect_anew(self) -> None:
        for db in self.both:
            db.close()

    @rule(asked=filters)
    def ask(self, asked: Filter) -> None:
        if asks_for_what_is_not_finite(asked):
            return
        self.same(
            lambda db: sorted(run["run_id"] for run in db.runs.query(asked, "run_id", None)),
            lambda plain: plain.found(asked),
        )
        self.same(lambda db: db.runs.count(asked), lambda plain: len(plain.found(asked)))

    @rule(metric=metrics, mode=st.sampled_from(["min", "max"]))
    def best(self, metric: str, mode: str) -> None:
        expected = self.plain.best(metric, mode)
        for db in self.both:
            try:
                found = [one["value"] for one in db.metrics.best(metric, mode)]
            except MetricNotFound:  # no run ever had it
                found = []
            assert found == expected, db.engine.name

    @rule()
    def look_at_everything(self) -> None:
        expected = self.plain.everything()
        for db in self.both:
            found = everything_in(db)
            assert same(found, expected), (db.engine.name, found, expected)

    def teardown(self) -> None:
        self.look_at_everything()


def outcome(call: Callable[[Any], Any], on: Any) -> list[Any]:
    try:
        return ["returned", call(on)]
    except TrainingDBError as error:
        return ["raised", type(error).__name__]


def test_any_sequence_of_calls_does_what_a_plain_dict_does(
    both: tuple[TrainingDB, TrainingDB], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gc, "give_back", lambda *_, **__: None)  # VACUUM takes long
    run_state_machine_as_test(
        lambda: Calls(both),
        settings=settings(
            SLOW,
            max_examples=torture.rounds(6, 200),
            stateful_step_count=torture.rounds(25, 50),
        ),
    )
