"""What the tests of copies share: databases to copy from and to, on both backends."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.cli.conftest import cli
from tests.conftest import BACKENDS, _migrate
from tests.transfer.databases import fill

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["cli"]  # a fixture of theirs

WAYS = [(source, target) for source in BACKENDS for target in BACKENDS]


class Places:
    """Makes databases that are gone after the test."""

    def __init__(self, request: pytest.FixtureRequest, folder: Path, stack: ExitStack) -> None:
        self._request, self._folder, self._stack = request, folder, stack
        self._made = 0

    def nothing(self, backend: str) -> str:
        """Return the URL of a file that is not there, or of a database without a table."""
        if backend == "sqlite":
            self._made += 1
            return f"sqlite:///{self._folder / f'runs {self._made}.db'}"
        return self._stack.enter_context(self._request.getfixturevalue("postgres").database())

    def migrated(self, backend: str) -> str:
        """Return the URL of a database at the newest schema without a row."""
        if backend == "sqlite":
            url = self.nothing(backend)
            shutil.copy(
                self._request.getfixturevalue("migrated_file"), url.removeprefix("sqlite:///")
            )
            return url
        server = self._request.getfixturevalue("postgres")
        template = server.migrated_template(_migrate)
        return self._stack.enter_context(server.database(template=template))

    def filled(self, backend: str, *, runs: int = 3, prefix: str = "run") -> str:
        """Return the URL of a database with a value in every column of every table."""
        url = self.migrated(backend)
        fill(url, runs=runs, prefix=prefix)
        return url


class Way(NamedTuple):
    """From where to where something is copied."""

    source: str
    target: str


@pytest.fixture
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Places]:
    """What makes databases for a test."""
    with ExitStack() as stack:
        yield Places(request, tmp_path, stack)


@pytest.fixture(scope="module")
def kept_places(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Places]:
    """What makes databases that the tests of a module only read."""
    with ExitStack() as stack:
        yield Places(request, tmp_path_factory.mktemp("kept"), stack)


@pytest.fixture(params=WAYS, ids=" to ".join)
def way(request: pytest.FixtureRequest, places: Places) -> Way:
    """A filled database and one without a row, on all four pairs of backends."""
    source, target = request.param
    return Way(places.filled(source), places.migrated(target))


@pytest.fixture(params=BACKENDS)
def target(request: pytest.FixtureRequest, places: Places) -> str:
    """A migrated database without a row, on one backend after the other."""
    return places.migrated(request.param)
