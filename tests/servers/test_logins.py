"""Logging in: TLS with a certificate authority, passwords of any characters, and timeouts."""

from __future__ import annotations

import socket
import string
import threading
from time import monotonic
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from tests.contract.test_driver_errors import closed_port
from tests.faults.processes import elapse
from training_db import TrainingDB
from training_db.db.engine import libpq_environment, open_engine
from training_db.db.exclusive import ADVISORY_LOCK
from training_db.db.migrations import current, upgrade
from training_db.errors import ConfigurationError, DatabaseError, DatabaseUnavailable
from training_db.settings import resolve_url

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import URL

    from tests.servers.conftest import Authority
    from tests.servers.servers import PgBouncer, PostgreSQL

PASSWORD = "s3cr3t-w0rd"  # noqa: S105 - of nobody
PRINTABLE = "".join(map(chr, range(32, 127)))
PASSWORDS = {
    "every ASCII character": PRINTABLE,
    "unicode": "pässwörd-ключ-密码-🔑",
    "what a URL is made of": "a:b/c@d?e=f&g#h[i]%20%zz+j",
    "quotes and backslashes": "it's \"q\" \\ \\' $1 ${X} `id`",
    "spaces around": "  two words  ",
    "an option of libpq": "x sslmode=disable host=elsewhere",
}


def ask(url: URL | str) -> object:
    engine = open_engine(resolve_url(url))
    try:
        with engine.connect() as connection:
            return connection.scalar(text("SELECT current_user"))
    finally:
        engine.dispose()


def set_all(monkeypatch: pytest.MonkeyPatch, **variables: object) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"TRAINING_DB_{name}", str(value))


@pytest.mark.parametrize("password", PASSWORDS.values(), ids=PASSWORDS)
def test_a_password_of_any_characters_logs_in_by_variables_and_by_url(
    primary: PostgreSQL, password: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    primary.login("ann@work", password)
    assert ask(primary.by_tcp("postgres", "ann@work", password)) == "ann@work"
    set_all(
        monkeypatch, HOST="127.0.0.1", PORT=primary.port, NAME="postgres", USER="ann@work",
        PASSWORD=password,
    )  # fmt: skip
    assert ask(resolve_url()) == "ann@work"
    assert set(string.punctuation) <= set(PRINTABLE)


def test_a_wrong_password_is_refused_and_shown_nowhere(primary: PostgreSQL) -> None:
    primary.login("ann", "another one")
    with pytest.raises(DatabaseUnavailable, match="check the user and the password") as caught:
        ask(primary.by_tcp("postgres", "ann", PASSWORD))
    error: BaseException | None = caught.value
    while error is not None:
        assert PASSWORD not in f"{error!r} {error} {error.args}"
        error = error.__cause__ or error.__context__


class TestTLS:
    """verify-full: the server is asked who it is, and has to be who we meant."""

    @pytest.fixture(autouse=True)
    def a_login(self, encrypted: PostgreSQL) -> None:
        self.server = encrypted
        encrypted.login("ann", PASSWORD)

    def url(self, host: str = "localhost", **options: object) -> str:
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"{self.server.by_tcp('postgres', 'ann', PASSWORD, host)}?{query}"

    def test_the_right_server_is_trusted_by_url_and_by_variables(
        self, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert ask(self.url(sslmode="verify-full", sslrootcert=authority.trusted)) == "ann"
        set_all(monkeypatch, SSLMODE="verify-full", SSLROOTCERT=authority.trusted)
        assert ask(self.url()) == "ann"
        set_all(
            monkeypatch, HOST="localhost", PORT=self.server.port, NAME="postgres", USER="ann",
            PASSWORD=PASSWORD,
        )  # fmt: skip
        assert ask(resolve_url()) == "ann"
        assert dict(resolve_url().query)["sslmode"] == "verify-full"

    def test_a_server_of_another_name_is_refused(self, authority: Authority) -> None:
        with pytest.raises(DatabaseUnavailable, match="does not match host name"):
            ask(self.url("127.0.0.1", sslmode="verify-full", sslrootcert=authority.trusted))
        assert ask(self.url("127.0.0.1", sslmode="verify-ca", sslrootcert=authority.trusted))

    def test_a_server_that_somebody_else_vouches_for_is_refused(self, authority: Authority) -> None:
        with pytest.raises(DatabaseUnavailable, match="certificate verify failed") as caught:
            ask(self.url(sslmode="verify-full", sslrootcert=authority.other))
        assert "TRAINING_DB_SSLROOTCERT" in str(caught.value)
        assert PASSWORD not in str(caught.value)

    def test_certificates_without_a_mode_are_verified_in_full(self, authority: Authority) -> None:
        assert ask(self.url(sslrootcert=authority.trusted)) == "ann"
        with pytest.raises(DatabaseUnavailable, match="does not match host name"):
            ask(self.url("127.0.0.1", sslrootcert=authority.trusted))

    def test_the_url_wins_over_the_variables(
        self, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        set_all(monkeypatch, SSLMODE="verify-full", SSLROOTCERT=authority.other)
        assert ask(self.url(sslrootcert=authority.trusted)) == "ann"

    def test_programs_of_postgresql_are_told_the_same(self, authority: Authority) -> None:
        told = libpq_environment(resolve_url(self.url(sslrootcert=authority.trusted)))
        assert told["PGSSLMODE"] == "verify-full"
        assert told["PGSSLROOTCERT"] == str(authority.trusted)
        assert (told["PGHOST"], told["PGPASSWORD"]) == ("localhost", PASSWORD)


def test_a_server_without_tls_is_refused_by_who_asks_for_it(bouncer: PgBouncer) -> None:
    with pytest.raises(DatabaseUnavailable, match="SSL"):
        ask(f"{bouncer.url('postgres')}?sslmode=require")


def test_a_file_of_certificates_that_is_missing_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="TRAINING_DB_SSLROOTCERT"):
        TrainingDB(f"postgresql://ann:{PASSWORD}@db/runs?sslrootcert={tmp_path / 'none.pem'}")


def test_a_mode_that_there_is_not_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, SSLMODE="full")
    with pytest.raises(ConfigurationError, match=r"TRAINING_DB_SSLMODE.*verify-full"):
        TrainingDB(f"postgresql://ann:{PASSWORD}@db/runs")


@pytest.mark.parametrize("given", ["300ms", "0.3", "0.3s"])
def test_a_statement_that_takes_too_long_is_ended(
    primary: PostgreSQL, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, STATEMENT_TIMEOUT=given)
    url = primary.by_socket("postgres")
    with TrainingDB(url) as db, db.engine.connect() as connection:
        started = monotonic()
        with pytest.raises(DatabaseError, match="TRAINING_DB_STATEMENT_TIMEOUT"):
            connection.execute(text("SELECT pg_sleep(30)"))
        assert monotonic() - started < 10


def test_a_migration_waits_longer_than_a_statement_may(
    primary: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, STATEMENT_TIMEOUT="500ms")
    url = primary.by_socket(primary.new_database())
    migration = threading.Thread(target=upgrade, args=[url])
    engine = open_engine(resolve_url(url))
    with engine.begin() as connection:
        connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        migration.start()
        elapse(1.2)
        assert migration.is_alive()
    engine.dispose()
    migration.join(60)
    assert current(url) == "v3"


def test_a_host_that_does_not_answer_is_given_up_in_time() -> None:
    # Nothing is accepted: a listener with a full queue, as a firewall that drops packets.
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        others: list[socket.socket] = []
        for _ in range(4):
            other = socket.socket()
            other.setblocking(False)
            other.connect_ex(silent.getsockname())
            others.append(other)
        started = monotonic()
        port = silent.getsockname()[1]
        with pytest.raises(DatabaseUnavailable, match="TRAINING_DB_CONNECT_TIMEOUT"):
            ask(f"postgresql://ann:{PASSWORD}@127.0.0.1:{port}/runs?connect_timeout=2")
        assert 1 < monotonic() - started < 9
        for other in others:
            other.close()


def test_a_server_that_never_was_there_is_not_waited_for() -> None:
    started = monotonic()
    with pytest.raises(DatabaseUnavailable):
        ask(f"postgresql://ann@127.0.0.1:{closed_port()}/runs")
    assert monotonic() - started < 5


@pytest.mark.parametrize("given", ["soon", "-1", "0", "1 day", "1e3", "99999999999"])
@pytest.mark.parametrize("name", ["CONNECT_TIMEOUT", "STATEMENT_TIMEOUT"])
def test_a_timeout_that_is_none_is_named(
    name: str, given: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, **{name: given})
    with pytest.raises(ConfigurationError, match=f"TRAINING_DB_{name}"):
        TrainingDB("postgresql://ann@db/runs")
