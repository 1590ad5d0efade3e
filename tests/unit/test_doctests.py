"""Every example in a docstring of the package runs, each on databases of its own."""

from __future__ import annotations

import doctest
import pkgutil
import shutil
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

import training_db
from training_db import TrainingDB, functions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def examples() -> list[doctest.DocTest]:
    """Return every docstring that holds examples."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [training_db.__name__]
    modules += [
        one.name
        for one in pkgutil.walk_packages(training_db.__path__, f"{training_db.__name__}.")
        if not one.name.endswith("__main__")
    ]
    found = (test for name in modules for test in finder.find(import_module(name), name))
    return [test for test in found if test.examples]


@pytest.fixture
def example_db(migrated_file: Path, tmp_path: Path) -> Iterator[TrainingDB]:
    """The database of the examples that name none."""
    copy = tmp_path / "example.db"
    shutil.copy(migrated_file, copy)
    with TrainingDB(copy) as db:
        yield db


@pytest.fixture
def fresh_default() -> Iterator[None]:
    """Let the functions start and end without a database that they remember."""
    forget_the_default()
    yield
    forget_the_default()


def forget_the_default() -> None:
    if functions._default is not None:
        functions._default[1].close()
    functions._chosen, functions._default = None, None


@pytest.mark.usefixtures("fresh_default")
@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_the_example_of(example: doctest.DocTest, request: pytest.FixtureRequest) -> None:
    example.globs["getfixture"] = request.getfixturevalue
    runner = doctest.DebugRunner(optionflags=doctest.ELLIPSIS)
    runner.run(example)
    assert runner.summarize(verbose=False).attempted == len(example.examples)
