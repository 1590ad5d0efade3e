from __future__ import annotations

import math
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.strategies import QUICK
from training_db.errors import FilterSyntaxError, InvalidValue, UnknownName
from training_db.repository.filter_language import parse
from training_db.repository.filters import (
    Among,
    And,
    ColumnField,
    Compare,
    DocumentField,
    Like,
    MetricField,
    Missing,
    Not,
    ObjectiveField,
    Or,
    TagField,
    as_filter,
    field,
)

STATUS, HOST, METHOD = (ColumnField(name) for name in ("status", "host", "gradient_method"))
A, B, C = (Compare(HOST, "=", letter) for letter in "abc")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", And(())),
        (" \n\t", And(())),
        ("host = 'a' or host = 'b' and host = 'c'", Or((A, And((B, C))))),
        ("(host = 'a' or host = 'b') and host = 'c'", And((Or((A, B)), C))),
        ("not host = 'a' and host = 'b'", And((Not(A), B))),
        ("not (host = 'a' and host = 'b')", Not(And((A, B)))),
        ("not not host = 'a'", Not(Not(A))),
        ("host = 'a' AND host = 'b' And host = 'c'", And((A, B, C))),
        ("((host = 'a'))", A),
        ("host='a'or host='b'", Or((A, B))),
        ("NOT host = 'a' OR NOT(host = 'b')", Or((Not(A), Not(B)))),
        ("host in ('a', 'b')", Among(HOST, ("a", "b"))),
        ("host NOT IN ('a')", Among(HOST, ("a",), negated=True)),
        ("host like 'gpu-%'", Like(HOST, "gpu-%")),
        ("host not like 'gpu-%'", Like(HOST, "gpu-%", negated=True)),
        ("host is missing", Missing(HOST)),
        ("host IS NOT MISSING", Missing(HOST, negated=True)),
    ],
)
def test_a_text_is_read_as_people_mean_it(text: str, tree: object) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize("operator", ["=", "!=", "<", "<=", ">", ">="])
def test_every_comparison_is_read_with_and_without_blanks(operator: str) -> None:
    wanted = Compare(ColumnField("batch_size"), operator, 8)
    assert parse(f"batch_size {operator} 8") == parse(f"batch_size{operator}8") == wanted


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("8", 8), ("-8", -8), ("+8", 8), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e-4", 1e-4),
        ("1E+2", 100.0), ("-2.5e3", -2500.0), ("9223372036854775808", 2**63), ("inf", math.inf),
        ("-Infinity", -math.inf), ("true", True), ("FALSE", False), ("'a'", "a"), ('"a"', "a"),
        ("''", ""), ("'it''s'", "it's"), (r"'it\'s'", "it's"), (r'"a \"b\""', 'a "b"'),
        (r"'a\\b'", r"a\b"), (r"'50\%'", r"50\%"), ("'ü 😀 日本'", "ü 😀 日本"),
        ("'(a, b) = c'", "(a, b) = c"),
        ("'and or not'", "and or not"), ("'two\nlines'", "two\nlines"),
    ],
)  # fmt: skip
def test_a_value_is_read_as_it_is_written(written: str, value: object) -> None:
    tree = parse(f"config.x = {written}")
    assert isinstance(tree, Compare)
    assert tree.value == value
    assert type(tree.value) is type(value)


def test_nan_is_a_value() -> None:
    tree = parse("final_loss = NaN")
    assert isinstance(tree, Compare)
    assert math.isnan(tree.value)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("status", STATUS),
        ("objective.QED", ObjectiveField("QED")),
        ("objective.QED.raw_std", ObjectiveField("QED", "raw_std")),
        ("objective.a.b.normalized_mean", ObjectiveField("a.b", "normalized_mean")),
        ("objective.raw_mean", ObjectiveField("raw_mean")),
        ('objective."my QED".raw_mean', ObjectiveField("my QED")),
        ("config.lr", DocumentField("config_json", (("lr",),))),
        ("config.a.lr", DocumentField("config_json", (("a", "lr"), ("a.lr",)))),
        ('config."optimizer.lr"', DocumentField("config_json", (("optimizer.lr",),))),
        ('config."a b".c', DocumentField("config_json", (("a b", "c"),))),
        (r'config."say \"hi\""', DocumentField("config_json", (('say "hi"',),))),
        ("config.größe", DocumentField("config_json", (("größe",),))),
        ("summary.train/loss", DocumentField("final_metrics_json", (("train/loss",),))),
        ("summary.loss-x", DocumentField("final_metrics_json", (("loss-x",),))),
        ("metric.loss", MetricField("loss", "last")),
        ("metric.loss.first", MetricField("loss", "first")),
        ("metric.train/loss.min", MetricField("train/loss", "min")),
        ("metric.a.b.max", MetricField("a.b", "max")),
        ("metric.mean", MetricField("mean")),
        ("metric.loss.median", MetricField("loss.median")),
        ('metric."my loss.min".mean', MetricField("my loss.min", "mean")),
        ('metric.a."min"', MetricField("a.min")),
        ("tag.paper", TagField("paper")),
        ("tag.a.b", TagField("a.b")),
        ('tag."my word"', TagField("my word")),
    ],
)  # fmt: skip
def test_a_field_is_what_it_looks_like(text: str, meant: object) -> None:
    assert field(text) == meant
    assert parse(f"{text} = 'launched'") == Compare(meant, "=", "launched")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["order", "android", "note", "island", "inner", "likes", "nothing"]
)
def test_a_name_that_begins_like_a_word_of_the_language_is_a_name(name: str) -> None:
    assert parse(f"config.{name} = 1") == Compare(field(f"config.{name}"), "=", 1)
    with pytest.raises(UnknownName, match=name):
        parse(f"{name} = 1")


@pytest.mark.parametrize(
    "text",
    ["color = 1", "objective = 1", "config = 1", "summary. = 1", "Status = 'failed'", "tags.x = 1",
     "config_document = 'x'", "summary_document is missing"],
)  # fmt: skip
def test_a_field_that_does_not_exist_is_named_with_those_that_do(text: str) -> None:
    with pytest.raises((UnknownName, FilterSyntaxError)) as caught:
        parse(text)
    if isinstance(caught.value, UnknownName):
        assert "gradient_method" in str(caught.value)
        assert "objective.NAME" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("host", 5),
        ("host =", 7),
        ("host = ", 8),
        ("= 'a'", 1),
        ("host = 'a' host = 'b'", 12),
        ("host = 'a' and", 15),
        ("and host = 'a'", 5),
        ("(host = 'a'", 12),
        ("host = 'a')", 11),
        ("host = 'a", 10),
        ("host == 'a'", 7),
        ("host <> 'a'", 7),
        ("host in ()", 10),
        ("host in ('a',)", 14),
        ("host in 'a'", 9),
        ("host like 5", 11),
        ("host is 'a'", 9),
        ("host not = 'a'", 10),
        ("host = mgda", 8),
        ("host = null", 8),
        ("batch_size = 1.2.3", 14),
        ("batch_size = 12abc", 14),
        ("status = 'failed'; drop table training_runs", 18),
        ("host = 'a' -- comment", 12),
    ],
)
def test_a_syntax_error_points_at_its_place(text: str, place: int) -> None:
    with pytest.raises(FilterSyntaxError) as caught:
        parse(text)
    message, shown, pointer = str(caught.value).split("\n")
    assert f"at {place}:" in message
    assert pointer.index("^") == place + 1
    assert shown.strip() in text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("gradient_method = mgda", "in quotes"),
        ("host in (a)", "in quotes"),
        ("host = NULL", "is missing"),
        ("host = 'a' and", "missing at the end"),
    ],
)
def test_a_common_mistake_is_answered_with_what_to_write(text: str, hint: str) -> None:
    with pytest.raises(FilterSyntaxError, match=hint):
        parse(text)


def test_the_place_in_a_long_filter_is_shown_in_its_surroundings() -> None:
    text = " or ".join(["host = 'a'"] * 50) + " or host = or host = 'b'" + " or host = 'c'" * 50
    with pytest.raises(FilterSyntaxError) as caught:
        parse(text)
    _, shown, pointer = str(caught.value).split("\n")
    assert len(shown) < 100
    assert shown[pointer.index("^") :].startswith("or host = 'b'")


def test_a_filter_of_endless_length_or_depth_is_refused() -> None:
    with pytest.raises(FilterSyntaxError, match="200,001 characters"):
        parse("x" * 200_001)


@pytest.mark.parametrize("depth", [50, 150, 300, 450, 700, 1500])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [("(", ")"), ("not ", ""), ("host = 'a' or (", ")"), ("host = 'a' and not (", ")")],
)
def test_a_deep_filter_is_read_or_refused_as_too_deep(
    opening: str, closing: str, depth: int
) -> None:
    text = opening * depth + "host = 'b'" + closing * depth
    try:
        parse(text)
    except FilterSyntaxError as error:
        assert depth > 100
        assert "too deep" in str(error)  # noqa: PT017 - to read and to refuse are both right


WORDS = st.sampled_from([
    "status", "host", "objective.QED", "config.a.b", 'config."a.b"', "final_loss", "=", "!=", "<",
    ">=", "in", "like", "is", "not", "missing", "and", "or", "(", ")", ",", "'failed'", '"x"', "1",
    "-2.5e3", "nan", "true", "null", "'", '"', "\\", ".", "%", "ü", "\x00", "\ud800", "\n", ";",
])  # fmt: skip


@QUICK
@given(st.one_of(st.lists(WORDS, max_size=14).map(" ".join), st.text(max_size=40)))
@example("objective.")
@example('config."')
@example('config.""=1')
@example("host = '\\'")
def test_any_text_is_a_filter_or_an_error_of_this_library(text: str) -> None:
    try:
        tree = parse(text)
    except (FilterSyntaxError, UnknownName):
        return
    assert isinstance(tree, (Compare, Among, Like, Missing, Not, And, Or))


@QUICK
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_in_quotes_comes_back(value: str) -> None:
    single = value.replace("\\", "\\\\").replace("'", "''")
    double = re.sub(r'(["\\])', r"\\\1", value)
    for quoted in (f"'{single}'", f'"{double}"'):
        assert parse(f"host = {quoted}") == Compare(HOST, "=", value)


def test_what_is_no_filter_at_all_is_refused() -> None:
    assert as_filter(None) == And(())
    assert as_filter(A) is A
    for value in (5, ["host = 'a'"], b"host = 'a'"):
        with pytest.raises(InvalidValue, match="no mapping and no text"):
            as_filter(value)  # type: ignore[arg-type]
