"""Every public call, given anything: it answers, or raises an error of our tree."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import torture
from tests.conftest import BACKENDS, migrated_database
from tests.security.odd_arguments import HOSTILE, arguments, values
from tests.security.public_calls import CLASSES_AND_CAPTURE, OTHERWISE, ROOMS, public_calls
from tests.torture import rounds
from tests.unit.strategies import QUICK
from training_db import ExperimentDB, TrainingDB, TrainingDBError, functions, init_db
from training_db.settings import resolve_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FUZZED = settings(
    QUICK, max_examples=rounds(60, under_torture=3_000), derandomize=not torture.IS_ON
)
RUNS = ("r1", "r2", "r3")


@pytest.fixture(scope="module", params=BACKENDS)
def rooms(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[TrainingDB, dict[str, dict[str, Callable[..., Any]]]]]:
    """Every public call on a database with some runs, on one backend after the other."""
    folder = tmp_path_factory.mktemp("fuzzed")
    with migrated_database(request, folder) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINING_DB_SPOOL_DIR", str(folder / "spool"))
        patch.setenv("TRAINING_DB_URL", resolve_url(url).render_as_string(hide_password=False))
        with TrainingDB(url) as db, ExperimentDB(url) as tracker:
            yield db, public_calls(db, tracker)


def fill(db: TrainingDB) -> None:
    """Put the runs back that a call may have taken away."""
    if {*RUNS} <= {*db.runs.ids()}:
        return
    for run_id in RUNS:
        if db.runs.find(run_id) is None:
            config = {"a": 1, "objectives": ["QED"]}
            db.runs.insert(run_id, config=config, host="h", gradient_method="mgda")
            db.history.append(run_id, {"loss": [3.0, 2.0, 1.0], "_step": [1, 2, 3]})
            db.scaffolds.insert(run_id, [{"scaffold_id": "c1", "scores": {"QED": 0.4}}])
    db.runs.restore(*RUNS)


@contextmanager
def our_errors_only(what: object) -> Iterator[None]:
    """Let errors of our tree pass that say something."""
    try:
        yield
    except TrainingDBError as error:
        if not str(error):
            raise AssertionError(f"{what}: an error without a word") from error


@pytest.mark.parametrize("room", [*ROOMS, "experiments", "functions"])
def test_any_call_with_any_arguments_is_answered_or_refused_by_an_error_of_ours(
    rooms: tuple[TrainingDB, dict[str, dict[str, Callable[..., Any]]]], room: str
) -> None:
    db, calls = rooms

    @FUZZED
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        fill(db)
        name = data.draw(st.sampled_from(sorted(calls[room])))
        given, named = data.draw(arguments(calls[room][name]))
        with our_errors_only(name):
            answer = calls[room][name](*given, **named)
            if inspect.isgenerator(answer):
                list(islice(answer, 10))

    fuzz()
    fill(db)
    assert {*RUNS} <= {*db.runs.ids()}


def test_every_public_name_is_fuzzed_here_or_said_to_be_elsewhere(
    rooms: tuple[TrainingDB, dict[str, dict[str, Callable[..., Any]]]],
) -> None:
    import training_db

    _, calls = rooms
    assert {*training_db.__all__} == {*calls["functions"]} | CLASSES_AND_CAPTURE | OTHERWISE
    assert all(calls.values())


@FUZZED
@given(place=st.one_of(values, st.sampled_from(HOSTILE).map(lambda text: f"postgresql://{text}")))
def test_any_place_is_a_url_or_refused_by_an_error_of_ours(place: Any) -> None:
    with our_errors_only(place):
        resolve_url(place)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_database_may_stand_in_a_file_of_any_name(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(functions, "_chosen", None)
    monkeypatch.chdir(tmp_path)
    with our_errors_only(name):
        init_db(f"{tmp_path}/{name.replace('/', '_')}")
        assert functions.insert_run("r1") == "r1"
