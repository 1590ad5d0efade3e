"""The environment variables ``TRAINING_DB_*`` as one validated object."""

from __future__ import annotations

from typing import TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import URL

from training_db.errors import ConfigurationError
from training_db.settings import SPOOL_BYTES

Kind = TypeVar("Kind", bound=BaseSettings)


class Environment(BaseSettings):
    """What ``TRAINING_DB_*`` says about the database.

    Attributes:
        url: The whole URL; wins over everything else.
        host: The PostgreSQL server; wins over ``path``.
        port: Its TCP port, 1 to 65535.
        name: The database on that server.
        user: The role to log in as; without one, the operating system's user.
        password: Its password.
        sslmode: One of libpq's modes, such as ``verify-full``.
        sslrootcert: The file with the certificates that are trusted.
        iam_auth: Log in with a fresh AWS IAM token instead of a password.
        path: A SQLite file.

    Example:
        >>> Environment(host="db", user="ann", password="s3cret").password
        SecretStr('**********')
    """

    model_config = SettingsConfigDict(env_prefix="TRAINING_DB_", env_ignore_empty=True)

    url: SecretStr | None = None
    host: str | None = None
    port: int = Field(default=5432, ge=1, le=65535)
    name: str = "training_db"
    user: str | None = None
    password: SecretStr | None = None
    sslmode: str | None = None
    sslrootcert: str | None = None
    iam_auth: bool = False
    path: str | None = None

    @classmethod
    def read(cls) -> Environment:
        """Read the environment of this process.

        Raises:
            ConfigurationError: A variable holds a value that cannot be used.
        """
        return _read(cls)

    def server_url(self) -> URL:
        """Return the PostgreSQL URL that the single variables add up to."""
        query = {"sslmode": self.sslmode, "sslrootcert": self.sslrootcert}
        if self.iam_auth:
            query["training_db_iam_auth"] = "1"
        return URL.create(
            "postgresql+psycopg",
            username=self.user,
            password=self.password.get_secret_value() if self.password else None,
            host=self.host,
            port=self.port,
            database=self.name,
            query={key: value for key, value in query.items() if value},
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
