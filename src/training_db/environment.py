"""The environment variables ``TRAINING_DB_*`` as one validated object."""

from __future__ import annotations

from math import ceil
from typing import Literal, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL

from training_db.errors import ConfigurationError
from training_db.settings import IAM_AUTH, SPOOL_BYTES, STATEMENT_TIMEOUT, seconds_of

TLSMode = Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]
Kind = TypeVar("Kind", bound=BaseSettings)


class LoginEnvironment(BaseSettings):
    """What ``TRAINING_DB_*`` says about each login at a PostgreSQL server.

    Attributes:
        sslmode: One of libpq's modes, such as ``verify-full``.
        sslrootcert: The file with the certificates that are trusted.
        iam_auth: Log in with a fresh AWS IAM token instead of a password.
        connect_timeout: Seconds to wait for a connection.
        statement_timeout: Seconds that a statement may take.

    Example:
        >>> LoginEnvironment(sslmode="require", statement_timeout="30s").options()
        {'sslmode': 'require', 'training_db_statement_timeout': '30s'}
    """

    model_config = SettingsConfigDict(env_prefix="TRAINING_DB_", env_ignore_empty=True)

    sslmode: TLSMode | None = None
    sslrootcert: str | None = None
    iam_auth: bool = False
    connect_timeout: str | None = None
    statement_timeout: str | None = None

    @field_validator("connect_timeout", "statement_timeout")
    @classmethod
    def _is_duration(cls, value: str | None) -> str | None:
        if value is not None:
            seconds_of(value)
        return value

    @classmethod
    def read(cls) -> Self:
        """Read the environment of this process.

        Raises:
            ConfigurationError: A variable holds a value that cannot be used.
        """
        return _read(cls)

    def options(self) -> dict[str, str]:
        """Return what is set, as the options of a URL."""
        wait = seconds_of(self.connect_timeout) if self.connect_timeout else 0
        options = {
            "sslmode": self.sslmode,
            "sslrootcert": self.sslrootcert,
            IAM_AUTH: "1" if self.iam_auth else None,
            "connect_timeout": str(ceil(wait)) if wait else None,  # as libpq takes it
            STATEMENT_TIMEOUT: self.statement_timeout,
        }
        return {name: value for name, value in options.items() if value}


class Environment(LoginEnvironment):
    """What ``TRAINING_DB_*`` says about where the database is, and how to log in there.

    Attributes:
        url: The whole URL; wins over everything else.
        host: The PostgreSQL server; wins over ``path``.
        port: Its TCP port, 1 to 65535.
        name: The database on that server.
        user: The role to log in as; without one, the operating system's user.
        password: Its password.
        path: A SQLite file.
        read_url: A replica to read from.

    Example:
        >>> Environment(host="db", user="ann", password="s3cret").password
        SecretStr('**********')
    """

    url: SecretStr | None = None
    host: str | None = None
    port: int = Field(default=5432, ge=1, le=65535)
    name: str = "training_db"
    user: str | None = None
    password: SecretStr | None = None
    path: str | None = None
    read_url: SecretStr | None = None

    def server_url(self) -> URL:
        """Return the PostgreSQL URL that the single variables add up to."""
        password = None if self.iam_auth or self.password is None else self.password
        return URL.create(
            "postgresql+psycopg",
            username=self.user,
            password=password.get_secret_value() if password else None,
            host=self.host,
            port=self.port,
            database=self.name,
            query=self.options(),
        )


class SpoolEnvironment(BaseSettings):
    """What ``TRAINING_DB_SPOOL_*`` says about what is logged and not in the database yet.

    Attributes:
        dir: The folder where recorders keep it.
        bytes: How much of it a recorder keeps.

    Example:
        >>> SpoolEnvironment(dir="/scratch/spool").bytes == SPOOL_BYTES
        True
    """

    model_config = SettingsConfigDict(env_prefix="TRAINING_DB_SPOOL_", env_ignore_empty=True)

    dir: str | None = None
    bytes: int = Field(default=SPOOL_BYTES, gt=0)

    @classmethod
    def read(cls) -> SpoolEnvironment:
        """Read the environment of this process.

        Raises:
            ConfigurationError: A variable holds a value that cannot be used.
        """
        return _read(cls)


def _read(kind: type[Kind]) -> Kind:
    try:
        return kind()
    except ValidationError as error:
        prefix = kind.model_config["env_prefix"]
        faults = "; ".join(
            f"{prefix}{str(fault['loc'][0]).upper()}: {fault['msg']}"
            for fault in error.errors(include_input=False)
        )
        raise ConfigurationError(f"the environment cannot be used: {faults}") from None
