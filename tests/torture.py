"""How hard the faults are tried: a little with every change, long and often by ``make torture``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar
from zlib import crc32

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

BACKENDS = ("sqlite", "postgresql")
IS_ON = os.environ.get("TORTURE") == "1"
_PLACES = ("migrated_url", "database_url", "outage", "target")

Value = TypeVar("Value")

on_one_backend = pytest.mark.on_one_backend
"""Marks tests of processes and endings, which cost much and are hardly about the backend: one of
the two is enough with every change. Half of the tests get the one, half the other."""


def rounds(usually: int, under_torture: int) -> int:
    """Return how many times something is tried."""
    return under_torture if IS_ON else usually


def some(values: Sequence[Value], usually: int = 1) -> Sequence[Value]:
    """Return all of some values under torture, and else the first few."""
    return values if IS_ON else values[:usually]


def is_left_out(item: pytest.Item) -> bool:
    """Tell whether a test is for ``make torture`` alone."""
    if IS_ON:
        return False
    if item.get_closest_marker("torture"):
        return True
    call = getattr(item, "callspec", None)
    if call is None or not item.get_closest_marker("on_one_backend"):
        return False
    [backend] = [call.params[name] for name in _PLACES if name in call.params] or [None]
    turn = crc32(item.nodeid.replace(str(backend), "").encode()) % 2
    return backend == BACKENDS[turn]
