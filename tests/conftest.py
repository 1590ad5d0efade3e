"""What every test shares: a clean environment, and a database of its own on each backend."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from tests import torture
from tests.postgres import Cluster, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from training_db import TrainingDB

BACKENDS = torture.BACKENDS
_CLUSTER = pytest.StashKey[Cluster]()
_RUN = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    # Its tests run from tests/migrations, on both backends; its own way to collect them, bound to
    # this file, is for one backend, and fails on pytest 9.
    config.option.pytest_alembic_tests_path = "none"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As a shell starts what runs in the background. The programs of tests would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    shared = getattr(config, "workerinput", None)
    if shared is None:  # not a worker of pytest-xdist: the one process that cleans up at the end
        config.stash[_CLUSTER] = Cluster.new()
        config.stash[_RUN] = uuid4().hex[:8]
    else:
        config.stash[_CLUSTER] = Cluster(Path(shared["cluster"]))
        config.stash[_RUN] = shared["run"]


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by marker
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        is_drawn = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if is_drawn or item.get_closest_marker("on_one_backend"):
            item.add_marker("faults")
    left_out = [item for item in items if torture.is_left_out(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not torture.is_left_out(item)]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:  # type: ignore[no-untyped-def]
    node.workerinput["cluster"] = str(node.config.stash[_CLUSTER].folder)
    node.workerinput["run"] = node.config.stash[_RUN]


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or _CLUSTER not in config.stash:
        return
    other = os.environ.get("TRAINING_DB_TEST_URL")
    if other:
        server = Server(other, config.stash[_RUN])
        server.drop(server.template)
        server.close()
    config.stash[_CLUSTER].remove()


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The PostgreSQL server of this test run; a test fails, and is not skipped, without one."""
    stash = request.config.stash
    server = Server(os.environ.get("TRAINING_DB_TEST_URL") or stash[_CLUSTER].start(), stash[_RUN])
    yield server
    server.close()


@pytest.fixture(autouse=True)
def clean_environment(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Hide the user's database and home: a test that forgets to name a place finds none."""
    home = str(tmp_path_factory.getbasetemp() / "home")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("TRAINING_DB_", "PG")) and name != "TRAINING_DB_TEST_URL":
                patch.delenv(name)
        for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "LOCALAPPDATA"):
            patch.setenv(name, home)
        if sys.dont_write_bytecode and hasattr(request.config, "workerinput"):
            # Each of the processes that tests start would compile all of the package again.
            patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
            cache = request.config.stash[_CLUSTER].folder / "bytecode"
            patch.setenv("PYTHONPYCACHEPREFIX", str(cache))
        yield


@pytest.fixture
def spool_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the spools of a test, and of the processes that it starts."""
    folder = tmp_path / "spool"
    monkeypatch.setenv("TRAINING_DB_SPOOL_DIR", str(folder))
    return folder


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a fresh, empty database, on one backend after the other."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'training.db'}"
    else:
        with request.getfixturevalue("postgres").database() as url:
            yield url


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty SQLite database at the newest schema, to copy."""
    path = tmp_path_factory.mktemp("migrated") / "training.db"
    _migrate(f"sqlite:///{path}")
    return path


@contextmanager
def migrated_database(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """Yield the URL of an empty database at the newest schema, on the fixture's backend."""
    if request.param == "sqlite":
        copy = folder / "training.db"
        shutil.copy(request.getfixturevalue("migrated_file"), copy)
        yield f"sqlite:///{copy}"
    else:
        server: Server = request.getfixturevalue("postgres")
        with server.database(template=server.migrated_template(_migrate)) as url:
            yield url


@pytest.fixture(params=BACKENDS)
def migrated_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database at the newest schema, on one backend after the other."""
    with migrated_database(request, tmp_path) as url:
        yield url


@pytest.fixture
def db(migrated_url: str) -> Iterator[TrainingDB]:
    """A :class:`TrainingDB` on an empty, migrated database, on one backend after the other."""
    from training_db import TrainingDB

    with TrainingDB(migrated_url) as database:
        yield database


def _migrate(url: str) -> None:
    from training_db.db.migrations import upgrade

    upgrade(url)
