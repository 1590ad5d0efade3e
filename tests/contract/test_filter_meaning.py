"""Random runs and random filters: SQLite, PostgreSQL and plain Python find the same runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests import torture
from tests.contract.conftest import empty
from tests.contract.filter_trees import asks_for_what_is_not_finite, of_column, trees
from tests.contract.oracle import OPERATORS, found_by
from tests.unit.strategies import SLOW
from training_db.models import METRIC_STATISTICS, training_runs
from training_db.repository.filter_sql import condition
from training_db.repository.filters import (
    Among,
    ColumnField,
    Compare,
    DocumentField,
    Filter,
    Like,
    MetricField,
    Missing,
    Not,
    ObjectiveField,
    TagField,
    field,
)

if TYPE_CHECKING:
    from training_db import TrainingDB

KEYS = ["a", "b", "a.b", 'say "hi"', "it's", "ü", "日本", "two words", "back\\slash", "x[0]", "*",
        "$", "$.a", "%", "\n", "\U0001f600", "A"]  # fmt: skip
keys = st.sampled_from(KEYS)
NUMBERS = [0, 1, -1, 2, 0.5, -0.0, 1.0, 1e-7, 1.5e300, 5e-324, 2**53, 2**53 + 1, 2**63 - 1,
           -(2**63), float(2**53), 0.1, 1e16]  # fmt: skip
TEXTS = ["", "a", "A", "ab", "a%b", "a_b", "NaN", "1", "true", "null", "ü", "日本", "\U0001f600",
         "\uffff", 'say "hi"', "it's", "back\\slash", "*", "[a]", "?", "line\nbreak"]  # fmt: skip
finite = st.sampled_from(NUMBERS)
texts = st.sampled_from(TEXTS)
comparable = st.one_of(finite, texts, st.booleans())
odd = st.sampled_from(
    [None, math.nan, math.inf, -math.inf, [], [1], {}, "a\x00b", "\ud800", 10**30]
)
configs = st.dictionaries(
    keys,
    st.recursive(
        comparable | odd, lambda inner: st.dictionaries(keys, inner, max_size=3), max_leaves=4
    ),
    max_size=4,
)
PATTERNS = ["%", "_", "a%", "%b", "a\\%b", "a\\_b", "A", "", "%a%", "_%", "*", "[a]", "?", "[%",
            "%\n%", "back\\\\%", "\U0001f600", "%ü", "日_"]  # fmt: skip


@st.composite
def places(draw: st.DrawFn) -> DocumentField:
    path = tuple(draw(st.lists(keys, min_size=1, max_size=3)))
    paths = [path]
    if len(path) > 1 and draw(st.booleans()):
        paths.append((".".join(path),))
    return DocumentField(draw(st.sampled_from(["config_json", "final_metrics_json"])), tuple(paths))


@st.composite
def comparisons(draw: st.DrawFn) -> Filter:
    operator = draw(st.sampled_from(["=", "=", "!=", "<", "<=", ">", ">="]))
    value = draw(comparable)
    return Compare(draw(places()), operator, value)


def several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(values, min_size=1, max_size=3).map(tuple)


LEAVES: st.SearchStrategy[Filter] = st.one_of(
    comparisons(),
    st.builds(Compare, places(), st.just("="), st.sampled_from([math.nan, math.inf, -math.inf])),
    st.builds(
        Among,
        places(),
        several(comparable),
        negated=st.booleans(),
    ),
    st.builds(Like, places(), st.sampled_from(PATTERNS), negated=st.booleans()),
    st.builds(Missing, places(), negated=st.booleans()),
)


def assert_same_runs(
    both: tuple[TrainingDB, TrainingDB], runs: list[dict[str, Any]], filters: list[Filter]
) -> None:
    rows = [{"run_id": f"r{number}", **run} for number, run in enumerate(runs)]
    for db in both:
        empty(db)
        for row in rows:
            run_id, apart = row["run_id"], ("objectives", "metrics", "tags")
            db.runs.insert(**{name: value for name, value in row.items() if name not in apart})
            for name, statistics in row.get("objectives", {}).items():
                db.objectives.insert(run_id, name, **statistics)
            for name, logged in row.get("metrics", {}).items():
                db.history.append(run_id, {name: logged})
            for name, value in row.get("tags", {}).items():
                db.tags.add(run_id, name, value)
    for tree in filters:
        if asks_for_what_is_not_finite(tree):
            continue
        wanted = [row["run_id"] for row in rows if found_by(tree, row)]
        for db in both:
            found = [run["run_id"] for run in db.runs.query(tree, "run_id", None)]
            assert sorted(found) == sorted(wanted), (db.engine.name, tree)
            assert db.runs.count(tree) == len(wanted)
            for few in (False, True):  # either way in
                ids = select(training_runs.c.run_id).where(condition(tree, few=few))
                with db.engine.connect() as connection:
                    assert sorted(connection.execute(ids).scalars()) == sorted(wanted), tree


@settings(SLOW, max_examples=torture.rounds(10, 300))
@given(
    st.lists(st.fixed_dictionaries({"config": configs, "summary": configs}), max_size=6),
    st.lists(trees(LEAVES), min_size=1, max_size=8),
)
@example(
    [{"config": {"a": {"b": 1}}, "summary": {}}, {"config": {"a.b": 2}, "summary": {}},
     {"config": {"a": {"b": 2}, "a.b": 1}, "summary": {}}],
    [Compare(DocumentField("config_json", (("a", "b"), ("a.b",))), "=", 2)],
)  # fmt: skip
def test_a_place_in_a_document_means_the_same_on_both_backends(
    both: tuple[TrainingDB, TrainingDB], runs: list[dict[str, Any]], filters: list[Filter]
) -> None:
    assert_same_runs(both, runs, filters)


def test_every_comparison_and_its_opposite_mean_the_same_at_the_very_value(
    both: tuple[TrainingDB, TrainingDB],
) -> None:
    fields = [ColumnField("batch_size"), ColumnField("learning_rate"), ObjectiveField("QED"),
              DocumentField("config_json", (("n",),)),
              *(MetricField("loss", one) for one in METRIC_STATISTICS)]  # fmt: skip
    tests = [Compare(field, operator, 2) for field in fields for operator in OPERATORS]
    runs = [
        {"batch_size": n, "learning_rate": float(n), "config": {"n": n},
         "objectives": {"QED": {"raw_mean": float(n)}}, "metrics": {"loss": [float(n)]}}
        for n in (1, 2, 3)
    ]  # fmt: skip
    assert_same_runs(both, runs, [*tests, *map(Not, tests)])


def test_every_pattern_means_the_same_for_every_text(both: tuple[TrainingDB, TrainingDB]) -> None:
    runs = [{"host": text, "config": {"t": text}, "tags": {"t": text}} for text in TEXTS if text]
    fields = [ColumnField("host"), DocumentField("config_json", (("t",),)), TagField("t")]
    tests = [Like(field, pattern) for field in fields for pattern in [*PATTERNS, "[[]%", "[a%"]]
    assert_same_runs(both, runs, [*tests, *map(Not, tests)])


REALS = [0.0, 1, -1, 0.5, 1e300, 5e-324, -0.0, 10**30]
real = st.sampled_from([*map(float, REALS), math.nan, math.inf, -math.inf])
asked_real = st.sampled_from(REALS)
INTEGERS = [0, 1, -1, 8, 2**53 + 1, 2**63 - 1, -(2**63)]
asked_integer = st.sampled_from([*INTEGERS, 0.5, -0.5, 8.0, 2.0**53, 2**63, -(2**63) - 1, 1e300])
TIMES = [
    "2024-05-06T07:08:09.000000Z",
    "2024-05-06T07:08:09.500000Z",
    "1970-01-01T00:00:00.000000Z",
]

RUNS = st.fixed_dictionaries(
    {},
    optional={
        "learning_rate": real,
        "batch_size": st.sampled_from(INTEGERS),
        "host": texts.filter(bool),
        "mixed_precision": st.booleans(),
        "created_at": st.sampled_from(TIMES),
        "status": st.sampled_from(["launched", "failed"]),
        "objectives": st.dictionaries(
            st.sampled_from(["QED", "it's"]),
            st.dictionaries(st.sampled_from(["raw_mean", "raw_std"]), real),
        ),
    },
).map(lambda run: {"status": "launched", "created_at": TIMES[0], **run})

COLUMN_LEAVES = st.one_of(
    of_column("learning_rate", asked_real),
    st.builds(Compare, st.just(ColumnField("learning_rate")), st.just("="), real),
    of_column("batch_size", asked_integer),
    of_column("host", texts.filter(lambda text: "\x00" not in text)),
    st.builds(Like, st.just(ColumnField("host")), st.sampled_from(PATTERNS), negated=st.booleans()),
    of_column("mixed_precision", st.booleans(), ordered=False),
    of_column("created_at", st.sampled_from(TIMES)),
    of_column("status", st.sampled_from(["launched", "failed", "completed"]), ordered=False),
    of_column("objective.QED.raw_mean", asked_real),
    of_column("objective.it's.raw_std", asked_real),
)


@settings(SLOW, max_examples=torture.rounds(10, 300))
@given(st.lists(RUNS, max_size=6), st.lists(trees(COLUMN_LEAVES), min_size=1, max_size=8))
def test_a_column_or_objective_means_the_same_on_both_backends(
    both: tuple[TrainingDB, TrainingDB], runs: list[dict[str, Any]], filters: list[Filter]
) -> None:
    assert_same_runs(both, runs, filters)


LOGGED = [0.0, 1.0, -1.0, 0.5, 0.1, 1e300, 5e-324, -0.0, math.nan, math.inf, -math.inf]
OF_RUNS = st.fixed_dictionaries(
    {},
    optional={
        "metrics": st.dictionaries(
            st.sampled_from(["loss", "it's"]),
            st.lists(st.sampled_from(LOGGED), min_size=1, max_size=4),
        ),
        "tags": st.dictionaries(
            st.sampled_from(["keep", "it's"]), st.none() | texts.filter(bool), max_size=2
        ),
        "deleted_at": st.sampled_from(TIMES),
    },
)
LOSS = [f"metric.loss.{one}" for one in METRIC_STATISTICS]
ROW_LEAVES = st.one_of(
    st.sampled_from([*LOSS, "metric.it's.max"]).flatmap(lambda name: of_column(name, asked_real)),
    st.builds(Compare, st.sampled_from(LOSS).map(field), st.just("="), real),
    st.sampled_from(["tag.keep", "tag.it's"]).flatmap(
        lambda name: of_column(name, texts.filter(bool), ordered=False)
    ),
    st.builds(Like, st.just(TagField("keep")), st.sampled_from(PATTERNS), negated=st.booleans()),
    of_column("deleted_at", st.sampled_from(TIMES)),
)


@settings(SLOW, max_examples=torture.rounds(10, 300))
@given(st.lists(OF_RUNS, max_size=6), st.lists(trees(ROW_LEAVES), min_size=1, max_size=8))
@example(
    [{"metrics": {"loss": [0.1, 0.1, 0.1]}}],  # whose mean, in floats, is more than each of them
    [Compare(MetricField("loss", "mean"), symbol, 0.1) for symbol in OPERATORS],
)
def test_a_metric_a_tag_or_the_trash_means_the_same_on_both_backends(
    both: tuple[TrainingDB, TrainingDB], runs: list[dict[str, Any]], filters: list[Filter]
) -> None:
    assert_same_runs(both, runs, filters)


BEYOND = [2**63, 2**63 + 1, -(2**63) - 1, 2**64, 10**22, 10**22 + 1, -(10**22), 10**30]


@settings(SLOW, max_examples=torture.rounds(6, 150))
@given(
    st.lists(st.sampled_from([*BEYOND, 1, 2**63 - 1]), min_size=1, max_size=6),
    st.lists(
        st.one_of(
            st.builds(
                Compare,
                st.just(DocumentField("config_json", (("n",),))),
                st.sampled_from(["=", "!="]),
                st.sampled_from(BEYOND),
            ),
            st.builds(
                Compare,
                st.just(DocumentField("config_json", (("n",),))),
                st.sampled_from(["<", "<=", ">", ">="]),
                st.sampled_from([0, 1, 0.5, -1e6]),
            ),
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_an_integer_beyond_64_bits_in_a_config_is_told_apart_by_its_last_digit(
    both: tuple[TrainingDB, TrainingDB], numbers: list[int], filters: list[Filter]
) -> None:
    assert_same_runs(both, [{"config": {"n": number}} for number in numbers], filters)
