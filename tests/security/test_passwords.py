"""A password of a database shows in no error, log, repr, warning, file or output of ours."""

from __future__ import annotations

import logging
import traceback
import warnings
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from sqlalchemy import make_url

from tests.cli.test_commands import LEAVES
from tests.security.refusing_server import RefusingServer, error
from training_db import ExperimentDB, TrainingDB, TrainingDBError, functions, init_db
from training_db.capture import create_wandb_context, save_wandb_context
from training_db.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.terminal import Answer
    from tests.postgres import Server

    Cli = Callable[..., Answer]

PASSWORD = "zq7-S3cr3t_zq7"  # noqa: S105 - of nobody
ODD = f"{PASSWORD} '\"@:/?#%&=\\${{x}}{PASSWORD}"
"""With every character that ends something in a URL, a DSN or a shell."""
NOWHERE = f"postgresql://ann:{PASSWORD}@127.0.0.1:1/runs"
UNREADABLE = [
    f"postgresql://ann:x@{PASSWORD}@db/runs",
    f"postgresql://ann:x@{PASSWORD}:y@db/runs",
    f"postgresql://ann:x@{PASSWORD}/y@db/runs",
    f"postgresql://ann:x@y?{PASSWORD}@db/runs",
    f"postgresql://ann:{PASSWORD}@db:port/runs",
    f"postgresql://ann:{PASSWORD}@db:99:99/runs",
    f"postgresql+asyncpg://ann:{PASSWORD}@db/runs",
    f"mysql://ann:{PASSWORD}@db/runs",
    f"://ann:{PASSWORD}@db/runs",
    f"postgresql:/ann:{PASSWORD}@db/runs",
    f"postgres:ann:{PASSWORD}@db",
    f"ann:{PASSWORD}@db/runs",
    f"host=db user=ann password={PASSWORD} dbname=runs",
    f"dbname=runs password = '{PASSWORD}'",
    f"{NOWHERE}?sslmode=verify-full&sslrootcert=/no/such/file",
    f"{NOWHERE}?connect_timeout=many",
]
UNREACHABLE = [
    NOWHERE,
    f"postgresql://ann:{PASSWORD}@no-such-host.invalid/runs",
    f"{NOWHERE}?sslmode=nonsense",
    f"{NOWHERE}?no_such_option=1",
    f"{NOWHERE}?options=-c%20nonsense",
    f"postgresql://ann@127.0.0.1:1/runs?password={PASSWORD}",
    f"postgresql://ann@127.0.0.1:1/runs?password=x&password={PASSWORD}",
    f"postgresql://ann:{quote(ODD, safe='')}@127.0.0.1:1/runs",
    f"postgresql://ann:{PASSWORD}@[::1]:1/runs",
    f"postgresql://ann:{PASSWORD}@/runs?host=/no/such/folder",
]


def told(caught: BaseException) -> str:
    """Return all that an error can show: itself, what it came of, and the traceback of it all."""
    seen: dict[int, str] = {}
    rest: list[BaseException | None] = [caught]
    while rest:
        one = rest.pop()
        if one is not None and id(one) not in seen:
            seen[id(one)] = f"{one} {one!r} {one.args!r} {vars(one)!r}"
            rest += [one.__cause__, one.__context__]
    return " ".join([*seen.values(), *traceback.format_exception(caught)])


def without_source(text: str) -> str:
    """Leave out the lines of code in a traceback: those of these tests have the password."""
    lines = text.splitlines()
    return "\n".join(line for line in lines if "PASSWORD" not in line)


@pytest.mark.parametrize("place", UNREADABLE)
def test_a_place_that_cannot_be_read_is_refused_without_its_password(place: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        TrainingDB(place)
    assert PASSWORD not in without_source(told(caught.value))


@pytest.mark.parametrize("place", UNREADABLE)
def test_a_variable_that_cannot_be_read_is_refused_without_its_password(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRAINING_DB_URL", place)
    with pytest.raises(ConfigurationError) as caught:
        TrainingDB()
    assert PASSWORD not in without_source(told(caught.value))


@pytest.mark.parametrize("place", UNREACHABLE)
def test_a_server_that_cannot_be_reached_is_told_without_the_password(place: str) -> None:
    with TrainingDB(place) as db, pytest.raises(TrainingDBError) as caught:
        db.runs.count()
    assert PASSWORD not in without_source(told(caught.value))
    assert PASSWORD not in f"{db!r} {db.url!r} {db.url} {db.engine!r}"
    with pytest.raises(TrainingDBError) as caught:
        init_db(place)
    assert PASSWORD not in without_source(told(caught.value))


@pytest.mark.parametrize("state", [b"28P01", b"28000", b"3D000", b"53300", b"57P03", b"42501"])
def test_a_login_that_is_refused_is_told_without_the_password(state: bytes) -> None:
    server = RefusingServer(error(state, b'password authentication failed for user "ann"'))
    place = f"postgresql://ann:{quote(ODD, safe='')}@127.0.0.1:{server.port}/runs?sslmode=disable"
    try:
        with TrainingDB(place) as db, pytest.raises(TrainingDBError) as caught:
            db.runs.count()
    finally:
        server.close()
    assert set(server.heard) == {ODD.encode()}  # each character of it arrived
    assert PASSWORD not in without_source(told(caught.value))


@pytest.mark.parametrize(
    "words",
    [
        f"cannot log in with postgresql://ann:{PASSWORD}@db/runs today",
        f"cannot log in with postgresql://ann:{PASSWORD}@{PASSWORD}@db/runs",
        f"cannot log in with host=db password={PASSWORD} user=ann",
        f"cannot log in with host=db password='{PASSWORD} \\' {PASSWORD}' user=ann",
        f"cannot log in with host=db sslpassword = {PASSWORD}",
        f'cannot log in with {{"password": "{PASSWORD}"}}',
    ],
)
def test_a_password_that_a_server_or_proxy_repeats_is_not_repeated(words: str) -> None:
    server = RefusingServer(error(b"08P01", words.encode()))
    place = f"postgresql://ann:{PASSWORD}@127.0.0.1:{server.port}/runs?sslmode=disable"
    try:
        with TrainingDB(place) as db, pytest.raises(TrainingDBError) as caught:
            db.runs.count()
    finally:
        server.close()
    assert "cannot log in" in str(caught.value)
    assert PASSWORD not in str(caught.value)


@pytest.fixture
def protected(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database whose URL has a password, which its server does not ask for."""
    with postgres.database() as url:
        place = make_url(url).set(password=ODD).render_as_string(hide_password=False)
        monkeypatch.setattr(functions, "_chosen", None)
        yield place


def test_nothing_that_is_logged_or_kept_has_the_password(
    protected: str, spool_dir: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in (
        "sqlalchemy.engine",
        "sqlalchemy.pool",
        "sqlalchemy.dialects",
        "psycopg",
        "alembic",
    ):
        caplog.set_level(logging.DEBUG, name)
    shown: list[Any] = []
    init_db(protected)
    with TrainingDB(protected) as db, ExperimentDB(protected) as tracker:
        number = tracker.log_run("r2")
        tracker.log_metric(number, "loss", 0.5, step=1)
        with db.recorder("r1") as recorder:
            recorder.log({"loss": 0.5}, step=1)
            kept = b"".join(one.read_bytes() for one in spool_dir.iterdir())
            assert kept
            shown += [recorder, db, db.url, db.engine, db.engine.pool, tracker, db.runs, db.history]
        shown += [db.analysis, vars(db), vars(db.runs), vars(tracker), functions.default_db()]
        with pytest.raises(TrainingDBError) as caught:
            db.runs.insert("r1")
    context = create_wandb_context({}, run_id="p1", mode="disabled")
    shown += [context, save_wandb_context(context, tmp_path / "context.json")]

    text = " ".join(map(repr, shown)) + " ".join(map(str, shown)) + told(caught.value)
    assert PASSWORD not in without_source(text)
    assert PASSWORD not in caplog.text
    assert PASSWORD.encode() not in kept
    assert PASSWORD not in (tmp_path / "context.json").read_text()


def test_a_recorder_warns_of_a_server_that_is_gone_without_the_password(spool_dir: Path) -> None:
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with TrainingDB(f"{NOWHERE}?connect_timeout=1") as db:
            recorder = db.recorder("r1", flush_seconds=0.01, close_seconds=0.2)
            recorder.log({"loss": 0.5}, step=1)
            recorder.close()
    assert warned
    assert PASSWORD not in " ".join(str(one.message) for one in warned)
    assert PASSWORD.encode() not in b"".join(one.read_bytes() for one in spool_dir.iterdir())


@pytest.mark.parametrize("names", LEAVES, ids=" ".join)
def test_no_command_prints_the_password(
    cli: Cli, names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAINING_DB_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("TRAINING_DB_URL", NOWHERE)
    parameters = LEAVES[names].params
    given = [str(tmp_path / "file") for one in parameters if is_needed(one)]
    answers = [cli(*names, *given)]
    if "url" in {one.name for one in parameters}:
        answers.append(cli(*names, *given, "--url", UNREADABLE[0]))
    for answer in answers:
        assert PASSWORD not in answer.out + answer.err
        assert "Traceback" not in answer.err
        assert answer.code in (0, 1, 2)


def is_needed(parameter: Any) -> bool:
    return parameter.param_type_name == "argument" and parameter.required


PROGRAM = """#!/bin/sh
echo "$@" >> {told}
case "$1" in --version) echo "pg_dump (PostgreSQL) {major}.0";; *) env > {told}.env; exit 1;; esac
"""


def test_a_program_that_is_started_has_the_password_in_no_argument(
    protected: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    init_db(protected)
    with TrainingDB(protected) as db, db.engine.connect() as connection:
        major = connection.connection.driver_connection.info.server_version // 10_000
    told_to = tmp_path / "told"
    program = tmp_path / "pg_dump"
    program.write_text(PROGRAM.format(told=told_to, major=major))
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("TRAINING_DB_URL", protected)

    answer = cli("backup", str(tmp_path / "runs.backup"))

    assert answer.code == 1
    assert PASSWORD not in answer.out + answer.err
    assert PASSWORD not in told_to.read_text()
    assert PASSWORD in told_to.with_suffix(".env").read_text()
