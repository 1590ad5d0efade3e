"""Servers that the tests of this folder share: each is started when a test first asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from tests.cli.conftest import cli
from tests.servers import servers
from tests.servers.servers import PgBouncer, PostgreSQL, Standby
from training_db import TrainingDB

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["cli"]

NO_DEBIAN = "Debian's postgresql-15 is not installed"
NO_BOUNCER = "Debian's pgbouncer is not installed"


class Authority:
    """A certificate authority of our own, and another one that nobody here trusts."""

    def __init__(self, folder: Path) -> None:
        self.trusted, self.other = folder / "ca.pem", folder / "other.pem"
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(str(self.trusted))
        trustme.CA().cert_pem.write_to_path(str(self.other))

    def certify(self, server: PostgreSQL, name: str) -> None:
        """Give a server a certificate for a name, and let it use TLS."""
        certificate = self._authority.issue_cert(name)
        key, chain = server.data / "server.key", server.data / "server.crt"
        certificate.private_key_pem.write_to_path(str(key))
        chain.write_bytes(b"".join(pem.bytes() for pem in certificate.cert_chain_pems))
        key.chmod(0o600)
        servers.give(key, chain)
        server.execute("ALTER SYSTEM SET ssl = on")
        server.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def primary() -> Iterator[PostgreSQL]:
    """A server of Debian's, or of the wheel where Debian's is not there."""
    server = PostgreSQL(servers.debian(15) or servers.wheel(18))
    yield server
    server.remove()


@pytest.fixture(scope="session")
def encrypted(primary: PostgreSQL, authority: Authority) -> PostgreSQL:
    """The same, with TLS and a certificate for the name ``localhost``."""
    if servers.debian(15) is None:
        pytest.skip(f"{NO_DEBIAN}, and the PostgreSQL of the wheel has no TLS")
    authority.certify(primary, "localhost")
    return primary


@pytest.fixture(scope="session")
def standby(primary: PostgreSQL) -> Iterator[Standby]:
    server = Standby(primary)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def bouncer(primary: PostgreSQL) -> Iterator[PgBouncer]:
    if servers.program() is None:
        pytest.skip(NO_BOUNCER)
    pooler = PgBouncer(primary)
    yield pooler
    pooler.remove()


@pytest.fixture(scope="session")
def postgresql_15(primary: PostgreSQL) -> PostgreSQL:
    if servers.debian(15) is None:
        pytest.skip(NO_DEBIAN)
    return primary


@pytest.fixture(scope="session")
def postgresql_16() -> Iterator[PostgreSQL]:
    server = PostgreSQL(servers.wheel(16))
    yield server
    server.remove()


@pytest.fixture
def db(primary: PostgreSQL) -> Iterator[TrainingDB]:
    """An empty, migrated database on the server."""
    with TrainingDB(primary.by_socket(primary.migrated())) as database:
        yield database
