from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from tests.unit.strategies import QUICK
from training_db.db.engine import libpq_environment, open_engine
from training_db.db.engine.iam import IAMToken
from training_db.environment import Environment
from training_db.errors import ConfigurationError, InvalidInput, TrainingDBError
from training_db.settings import VARIABLES, resolve_read_url, resolve_url, sqlite_path

PASSWORD = "s3cr3t-w0rd"  # noqa: S105 - of nobody
ALL = {
    "TRAINING_DB_URL": "sqlite:////data/by-url.db",
    "TRAINING_DB_HOST": "db.example.org",
    "TRAINING_DB_PATH": "/data/by-path.db",
}


def set_all(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"TRAINING_DB_{name}", value)


def test_the_url_wins_over_the_host_and_the_host_over_the_path(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in ALL.items():
        monkeypatch.setenv(name, value)
    assert resolve_url().database == "/data/by-url.db"
    monkeypatch.delenv("TRAINING_DB_URL")
    assert resolve_url().host == "db.example.org"
    monkeypatch.delenv("TRAINING_DB_HOST")
    assert resolve_url().database == "/data/by-path.db"
    monkeypatch.delenv("TRAINING_DB_PATH")
    home = Path.home()
    assert Path(str(resolve_url().database)).is_relative_to(home)
    assert str(resolve_url().database).endswith("training-db/training.db")


def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_DB_URL", ALL["TRAINING_DB_URL"])
    assert resolve_url("/data/by-hand.db").database == "/data/by-hand.db"


@pytest.mark.parametrize("name", ALL)
def test_an_empty_variable_is_as_one_that_is_not_set(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "")
    assert str(resolve_url().database).endswith("training-db/training.db")


def test_every_variable_of_a_server_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(
        monkeypatch, HOST="db", PORT="6543", NAME="runs", USER="ann", PASSWORD=PASSWORD,
        SSLMODE="verify-full", SSLROOTCERT="/etc/rds.pem",
    )  # fmt: skip
    url = resolve_url()
    assert url.get_backend_name() == "postgresql"
    assert url.drivername == "postgresql+psycopg"
    assert (url.host, url.port, url.database) == ("db", 6543, "runs")
    assert (url.username, url.password) == ("ann", PASSWORD)
    assert dict(url.query) == {"sslmode": "verify-full", "sslrootcert": "/etc/rds.pem"}


def test_a_server_has_defaults_for_all_but_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, HOST="db")
    url = resolve_url()
    assert (url.port, url.database, url.username, url.password) == (5432, "training_db", None, None)
    assert not url.query


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "many"), ("PORT", "0"), ("PORT", "65536"), ("IAM_AUTH", "perhaps")]
)
def test_a_variable_that_cannot_be_used_is_named_and_no_password_with_it(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, HOST="db", PASSWORD=PASSWORD, **{name: value})
    with pytest.raises(ConfigurationError, match=f"TRAINING_DB_{name}") as caught:
        resolve_url()
    assert PASSWORD not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_replica_has_what_it_does_not_say_itself_of_the_primary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    primary = resolve_url(f"postgresql://ann:{PASSWORD}@db/runs?sslmode=verify-full&host=db")
    url = resolve_read_url("postgresql://replica:6543", primary)
    assert url is not None
    assert (url.username, url.password, url.host, url.port) == ("ann", PASSWORD, "replica", 6543)
    assert (url.database, url.query) == ("runs", {"sslmode": "verify-full"})
    url = resolve_read_url("postgresql://bob@replica/copy?sslmode=disable", primary)
    assert url is not None
    assert (url.username, url.password, url.database) == ("bob", None, "copy")
    assert url.query == {"sslmode": "disable"}
    assert resolve_read_url(None, primary) is None
    monkeypatch.setenv("TRAINING_DB_READ_URL", "postgresql://replica")
    assert str(resolve_read_url(None, primary)).startswith("postgresql+psycopg://ann:***@replica/")


@pytest.mark.parametrize(
    ("place", "primary"),
    [("runs.db", "postgresql://db/runs"), ("postgresql://replica/runs", "sqlite:///runs.db")],
)
def test_only_postgresql_has_a_replica(place: str, primary: str) -> None:
    with pytest.raises(ConfigurationError, match="TRAINING_DB_READ_URL"):
        resolve_read_url(place, resolve_url(primary))


def test_the_list_of_variables_is_the_list_of_settings() -> None:
    assert set(VARIABLES) == {f"TRAINING_DB_{name.upper()}" for name in Environment.model_fields}


@pytest.mark.parametrize("path", ["runs.db", "some/new/folder/runs.db", "./a/../runs.db"])
def test_a_relative_path_is_of_the_working_directory(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRAINING_DB_PATH", path)
    database = Path(str(resolve_url().database))
    assert database.is_absolute()
    assert database.is_relative_to(tmp_path)
    assert not any(tmp_path.iterdir())  # looking it up makes nothing


@pytest.mark.parametrize("written", ["~/runs.db", "sqlite:///~/runs.db"])
def test_a_tilde_is_the_home(written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_url(written).database == str(tmp_path / "runs.db")
    monkeypatch.setenv("TRAINING_DB_PATH", "~/runs.db")
    assert resolve_url().database == str(tmp_path / "runs.db")


def test_the_home_of_nobody_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no-such-user"):
        resolve_url("~no-such-user/runs.db")


def test_a_folder_stands_for_the_file_in_it(tmp_path: Path) -> None:
    assert resolve_url(tmp_path).database == str(tmp_path / "training.db")
    assert resolve_url(f"{tmp_path}/missing/").database == str(tmp_path / "missing/training.db")
    assert resolve_url(f"sqlite:///{tmp_path}").database == str(tmp_path / "training.db")


@pytest.mark.parametrize("name", ["ein Lauf.db", "ü.db", "a%20b.db", "a?b.db", "a#b.db"])
def test_a_file_may_have_any_name(name: str, tmp_path: Path) -> None:
    url = resolve_url(tmp_path / name)
    assert sqlite_path(url) == tmp_path / name
    assert sqlite_path(resolve_url(url)) == tmp_path / name


def test_memory_has_no_file() -> None:
    for url in ("sqlite://", "sqlite:///:memory:"):
        assert sqlite_path(resolve_url(url)) is None
    assert sqlite_path(resolve_url("postgresql://db/runs")) is None


def test_options_of_a_sqlite_url_stay() -> None:
    assert resolve_url("sqlite:////data/a.db?timeout=5").query == {"timeout": "5"}


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_each_name_of_postgresql_means_the_driver_of_this_library(scheme: str) -> None:
    assert resolve_url(f"{scheme}://db/runs").drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        f"mysql://ann:{PASSWORD}@db/runs",
        f"postgresql+asyncpg://ann:{PASSWORD}@db/runs",
        f"postgresql://ann:{PASSWORD}@db:port/runs",
        f"://ann:{PASSWORD}@db",
    ],
)
def test_a_bad_url_is_refused_without_its_password(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        resolve_url(text)
    assert PASSWORD not in str(caught.value)
    assert PASSWORD not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@QUICK
@given(password=st.text(st.characters(min_codepoint=33, exclude_categories=["Cs"]), min_size=1))
def test_a_password_of_any_characters_arrives_and_is_never_shown(password: str) -> None:
    environment = Environment(host="db.example.org", user="ann", password=f"pw-{password}-pw")
    url = environment.server_url()
    assert url.password == f"pw-{password}-pw"
    assert make_url(url.render_as_string(hide_password=False)).password == url.password
    for shown in (repr(environment), str(environment), repr(url), str(environment.model_dump())):
        assert f"pw-{password}-pw" not in shown


def test_a_password_is_in_no_repr_of_the_object_or_engine() -> None:
    from training_db import TrainingDB

    with TrainingDB(f"postgresql://ann:{PASSWORD}@db/runs") as db:
        assert PASSWORD not in repr(db)
        assert PASSWORD not in repr(db.engine)
        assert PASSWORD not in str(db.url)
        assert "ann:***@db" in repr(db)


@pytest.mark.parametrize("place", [5, b"runs.db", ["runs.db"]])
def test_a_place_of_another_type_is_refused(place: object) -> None:
    with pytest.raises((TypeError, ConfigurationError)):
        resolve_url(place)  # type: ignore[arg-type]


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Credentials of nobody: signing a token needs no network."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "example",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("aws")
def test_iam_login_signs_a_fresh_token_for_each_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, HOST="db.example.org", USER="ann", PORT="6543", IAM_AUTH="1")
    tokens = IAMToken(resolve_url())
    moments = iter(["20260102T030405Z", "20260102T031905Z"])
    monkeypatch.setattr(
        "botocore.auth.get_current_datetime",
        lambda: datetime.strptime(next(moments), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC),
    )
    first, second = tokens.fresh(), tokens.fresh()
    assert first.startswith("db.example.org:6543/?Action=connect&DBUser=ann")
    for part in ("X-Amz-Signature=", "X-Amz-Expires=900", "20260102T030405Z", "eu-west-1"):
        assert part in first
    assert "20260102T031905Z" in second


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("runs.abc123.ap-southeast-2.rds.amazonaws.com", "ap-southeast-2"),
        ("runs.abc123.us-gov-west-1.rds.amazonaws.com", "us-gov-west-1"),
        ("runs.abc123.cn-north-1.rds.amazonaws.com.cn", "cn-north-1"),
        ("runs.abc123.rds.cn-north-1.amazonaws.com.cn", "cn-north-1"),
    ],
)
def test_iam_login_is_of_the_region_that_the_host_names(
    host: str, region: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    url = resolve_url(f"postgresql://ann@{host}/runs?training_db_iam_auth=1")
    assert f"%2F{region}%2Frds-db%2F" in IAMToken(url).fresh()


def test_programs_are_told_every_option_that_makes_a_login_safe() -> None:
    safety = "channel_binding=require&require_auth=scram-sha-256&sslcrl=/ca.crl&gssencmode=disable"
    told = libpq_environment(resolve_url(f"postgresql://ann:{PASSWORD}@db/runs?{safety}"))
    assert told["PGCHANNELBINDING"] == "require"
    assert told["PGREQUIREAUTH"] == "scram-sha-256"
    assert (told["PGSSLCRL"], told["PGGSSENCMODE"]) == ("/ca.crl", "disable")


@pytest.mark.usefixtures("aws")
def test_each_connection_has_a_token_of_its_own_and_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, HOST="db.example.org", USER="ann", PASSWORD=PASSWORD, IAM_AUTH="1")
    tokens = iter(["one", "two"])
    monkeypatch.setattr(IAMToken, "fresh", lambda _: next(tokens))
    engine = open_engine(resolve_url())
    assert engine.url.query == {}
    seen: list[dict[str, str]] = []

    def connect(**arguments: str) -> None:
        seen.append(arguments)
        raise ConnectionError

    monkeypatch.setattr(engine.dialect, "connect", connect)
    for _ in range(2):
        with pytest.raises(ConnectionError):
            engine.raw_connection()
    assert [(one["password"], one["sslmode"]) for one in seen] == [
        ("one", "require"),
        ("two", "require"),
    ]


@pytest.mark.usefixtures("aws")
def test_iam_login_is_not_for_a_url_with_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, IAM_AUTH="1")
    assert resolve_url("postgresql://ann@db/runs").query == {"training_db_iam_auth": "1"}
    assert resolve_url(f"postgresql://ann:{PASSWORD}@db/runs").query == {}


@pytest.mark.usefixtures("aws")
def test_iam_login_without_credentials_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    url = resolve_url("postgresql://ann@db/runs?training_db_iam_auth=1")
    with pytest.raises(ConfigurationError, match="credentials"):
        IAMToken(url).fresh()


@pytest.mark.usefixtures("aws")
def test_iam_login_needs_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    set_all(monkeypatch, HOST="db.example.org", IAM_AUTH="true")
    with pytest.raises(ConfigurationError, match="TRAINING_DB_USER"):
        open_engine(resolve_url())


def test_iam_login_without_boto3_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3.session", None)
    set_all(monkeypatch, HOST="db.example.org", USER="ann", IAM_AUTH="1")
    with pytest.raises(ImportError, match=r"pip install 'training-db\[aws\]'") as caught:
        open_engine(resolve_url())
    assert isinstance(caught.value, TrainingDBError)


@pytest.mark.usefixtures("aws")
def test_iam_login_without_a_region_is_a_configuration_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    set_all(monkeypatch, HOST="db.example.org", USER="ann", IAM_AUTH="1")
    with pytest.raises(ConfigurationError, match="region"):
        open_engine(resolve_url())


def test_a_path_with_a_nul_character_is_a_configuration_error() -> None:
    with pytest.raises((ConfigurationError, InvalidInput)):
        resolve_url("runs\x00.db")
