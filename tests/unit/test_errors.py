from __future__ import annotations

import inspect
import pickle
import re

import pytest

import training_db
from training_db import errors
from training_db.errors import TrainingDBError

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and value.__module__ == errors.__name__
}
BUILT_INS = {
    "ConfigurationError": ValueError,
    "MissingExtra": ImportError,
    "InvalidInput": ValueError,
    "InvalidValue": ValueError,
    "UnknownName": KeyError,
    "FilterSyntaxError": ValueError,
    "NotFound": KeyError,
    "RunNotFound": KeyError,
    "ObjectiveNotFound": KeyError,
    "DatabaseUnavailable": ConnectionError,
}


def tree_of(docstring: str) -> dict[str, str]:
    """Read the drawing: for each class the one above it."""
    parents: dict[str, str] = {}
    above: list[str] = []
    for line in docstring.splitlines():
        drawn = re.match(r"    ((?:[│ ]   )*)(?:[├└]── )?([A-Z]\w+)", line)
        if drawn is None or not drawn[2][0].isupper() or drawn[2] not in CLASSES:
            continue
        depth = 0 if drawn[2] == "TrainingDBError" else len(drawn[1]) // 4 + 1
        above[depth:] = [drawn[2]]
        if depth:
            parents[drawn[2]] = above[depth - 1]
    return parents


def test_the_drawing_of_the_tree_shows_every_class_below_its_parent() -> None:
    real = {name: one.__bases__[0].__name__ for name, one in CLASSES.items()}
    assert real.pop("TrainingDBError") == "Exception"
    assert tree_of(errors.__doc__ or "") == real


def test_the_drawing_names_the_built_in_of_each_class() -> None:
    for name, one in CLASSES.items():
        own = [base for base in one.__bases__[1:] if base.__module__ == "builtins"]
        drawn = re.search(rf"\b{name}(?: \((\w+)\))?", errors.__doc__ or "")
        assert drawn is not None
        assert [drawn[1]] == ([base.__name__ for base in own] or [None])


@pytest.mark.parametrize("name", BUILT_INS)
def test_an_error_is_the_built_in_it_resembles(name: str) -> None:
    assert issubclass(CLASSES[name], BUILT_INS[name])


@pytest.mark.parametrize("one", CLASSES.values(), ids=list(CLASSES))
def test_every_error_is_of_the_one_tree_and_says_what_it_is(one: type) -> None:
    assert issubclass(one, TrainingDBError)
    assert one.__doc__


def test_messages_are_sentences_and_no_repr_of_a_key() -> None:
    assert str(errors.NotFound("nothing here")) == "nothing here"
    assert str(errors.SchemaMissing()) == "SchemaMissing"


def test_an_unknown_name_lists_the_valid_ones_and_the_closest() -> None:
    error = errors.UnknownName("status", "complete", ["completed", "failed"])
    assert str(error) == (
        "unknown status 'complete' (did you mean 'completed'?); valid are: completed, failed"
    )


def test_of_very_many_valid_names_some_are_listed_and_the_closest_of_all_in_any_case() -> None:
    error = str(errors.UnknownName("metric", "QED", [*(f"m{n}" for n in range(500)), "qed"]))
    assert "did you mean 'qed'?" in error
    assert error.endswith(" m79 ...")
    assert "did you mean 'Loss'?" in str(errors.MetricNotFound("LOSS", ["Loss"]))


def test_a_missing_run_or_objective_says_what_to_do() -> None:
    assert "training-db runs list" in str(errors.RunNotFound("r9"))
    message = str(errors.ObjectiveNotFound("r1", "QED", iter(["SA", "logP"])))
    assert "'r1'" in message
    assert "SA, logP" in message
    assert "insert_objective" in message
    assert "none" in str(errors.ObjectiveNotFound("r1", "QED", []))


@pytest.mark.parametrize(
    "error",
    [
        errors.RunNotFound("r1"),
        errors.UnknownName("status", "x", ["a"]),
        errors.ObjectiveNotFound("r1", "QED", ["SA"]),
        errors.InvalidValue("no"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_crosses_process_borders(error: TrainingDBError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - written the line before
    assert type(copy) is type(error)
    assert str(copy) == str(error)


def test_the_public_names_are_pinned() -> None:
    assert training_db.__all__ == [
        "RULES",
        "ExperimentDB",
        "ExtractionRules",
        "RunStatus",
        "TrainingDB",
        "TrainingDBError",
        "WandBContext",
        "attach_blog_post",
        "attach_conversation",
        "attach_crash_data",
        "capture_run",
        "create_wandb_context",
        "detect_plateau",
        "get_run",
        "get_stats",
        "init_db",
        "insert_objective",
        "insert_run",
        "insert_scaffolds",
        "load_wandb_context_from_env",
        "mirror",
        "query_runs",
        "query_runs_by_objectives",
        "query_scaffolds",
        "save_wandb_context",
        "update_objective_metric",
        "update_objectives",
        "update_run_status",
    ]


@pytest.mark.parametrize("name", training_db.__all__)
def test_every_public_name_loads_and_is_listed(name: str) -> None:
    assert getattr(training_db, name).__doc__ or name == "RULES"
    assert name in dir(training_db)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'default_db'"):
        _ = training_db.default_db
