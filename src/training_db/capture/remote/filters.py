"""Which runs of a W&B project: what people write, in the words of W&B's API."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from training_db.errors import InvalidValue
from training_db.timestamps import format_timestamp, now, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Mapping

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_NAMES = {
    "job_type": "jobType",
    "created_at": "createdAt",
    "display_name": "displayName",
    "id": "name",
    "tag": "tags",
}


def read_path(path: str) -> tuple[str, str | None]:
    """Take apart what names a project, or a run of it.

    Args:
        path: ``ENTITY/PROJECT``, ``ENTITY/PROJECT/RUN``, or the address of either page.

    Returns:
        Entity and project, and the id of the run or ``None``.

    Raises:
        InvalidValue: It is none of these.

    Example:
        >>> read_path("team/qed")
        ('team/qed', None)
        >>> read_path("https://wandb.ai/team/qed/runs/a1b2?nw=1")
        ('team/qed', 'a1b2')
    """
    place = urlsplit(path).path if "://" in path else path
    parts = [unquote(part) for part in place.strip("/ ").split("/")]
    if len(parts) == 4 and parts[2] == "runs":
        del parts[2]
    if len(parts) not in (2, 3) or not all(parts):
        raise InvalidValue(
            f"{path!r} names no project of W&B; write ENTITY/PROJECT, or ENTITY/PROJECT/RUN"
        )
    return "/".join(parts[:2]), parts[2] if len(parts) == 3 else None


def read_filters(filters: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """Read a filter.

    Args:
        filters: A mapping in the language of W&B's API, which is MongoDB's; the same as JSON; or
            pairs of key and value that all have to hold.

    Raises:
        InvalidValue: It cannot be read.

    Example:
        >>> read_filters('{"config.lr": {"$gt": 0.1}}')
        {'config.lr': {'$gt': 0.1}}
        >>> read_filters("state=finished, config.lr=0.1, summary.ok=true")
        {'state': 'finished', 'config.lr': 0.1, 'summary_metrics.ok': True}
    """
    if not filters:
        return {}
    if not isinstance(filters, str):
        return dict(filters)
    if filters.lstrip().startswith("{"):
        try:
            return dict(json.loads(filters))
        except ValueError as error:
            raise InvalidValue(f"the filter {filters!r} is no JSON: {error}") from None
    found: dict[str, Any] = {}
    for pair in filters.split(","):
        key, sign, value = (part.strip() for part in pair.partition("="))
        if not key or not sign:
            raise InvalidValue(
                f"the filter {filters!r} cannot be read at {pair.strip()!r}; write key=value pairs "
                'with commas between them, or JSON such as {"config.lr": {"$gt": 0.1}}'
            )
        name = _NAMES.get(key, key)
        if name.startswith("summary."):
            name = "summary_metrics." + name.removeprefix("summary.")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float, str)) else text


def created_since(filters: Mapping[str, Any], since: object) -> dict[str, Any]:
    """Add to a filter that runs were created after a moment.

    Args:
        filters: What they have to match besides.
        since: A time as :func:`training_db.timestamps.parse_timestamp` reads it; or how long ago,
            such as ``"90m"``, ``"12h"``, ``"7d"``, ``"2w"`` or a ``timedelta``; or ``None``.

    Raises:
        InvalidValue: It is none of these.

    Example:
        >>> created_since({}, "2024-05-06")
        {'createdAt': {'$gte': '2024-05-06T00:00:00.000000Z'}}
    """
    if since is None:
        return dict(filters)
    ago = _AGO.fullmatch(since.strip()) if isinstance(since, str) else None
    if ago:
        since = timedelta(**{_UNITS[ago[2]]: float(ago[1])})
    try:
        moment = now() - since if isinstance(since, timedelta) else parse_timestamp(since)
    except (InvalidValue, OverflowError):
        raise InvalidValue(
            f"{since!r} is no time to begin with; write a date such as 2024-05-06, or how long "
            "ago, such as 12h, 7d or 2w"
        ) from None
    created = {"createdAt": {"$gte": format_timestamp(moment)}}
    return {"$and": [dict(filters), created]} if filters else created
