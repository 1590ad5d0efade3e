"""Logging in at RDS with a token of AWS IAM in the place of a password."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from training_db.errors import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from sqlalchemy import URL

# In China, the service may stand before the region.
_RDS_HOST = re.compile(
    r"(?:\.rds)?\.([a-z]{2}(?:-[a-z]+)+-\d)(?:\.rds)?\.amazonaws\.com(?:\.cn)?$", re.IGNORECASE
)


class IAMToken:
    """Makes the tokens for one server; each lives for 15 minutes, and so each login has a new one.

    The region is that of the host's name, else what AWS's own settings say (``AWS_REGION``).

    Args:
        url: The server, and the user to log in as.

    Raises:
        MissingExtra: boto3 is not installed.
        ConfigurationError: The host, the user or the region is not known.
    """

    def __init__(self, url: URL) -> None:
        try:
            from boto3.session import Session
            from botocore.exceptions import BotoCoreError
        except ImportError:
            raise MissingExtra(
                "TRAINING_DB_IAM_AUTH needs boto3; run: pip install 'training-db[aws]'"
            ) from None
        if not (url.host and url.username):
            raise ConfigurationError("IAM login needs TRAINING_DB_HOST and TRAINING_DB_USER")
        found = _RDS_HOST.search(url.host)
        self._failed = BotoCoreError
        try:
            # Not boto3's own session, which keeps the first credentials that it finds for good.
            session = Session(region_name=found[1].lower() if found else None)
            self._client = session.client("rds")
        except BotoCoreError as error:  # no region, a broken profile ...
            raise ConfigurationError(f"IAM login cannot be set up: {error}") from None
        self._place = {"DBHostname": url.host, "Port": url.port or 5432, "DBUsername": url.username}

    def fresh(self) -> str:
        """Return a new token; no server is asked for it.

        Raises:
            ConfigurationError: There are no AWS credentials.
        """
        try:
            return str(self._client.generate_db_auth_token(**self._place))
        except self._failed as error:  # no credentials, or those of a role cannot be had
            raise ConfigurationError(f"IAM login has no token: {error}") from None
