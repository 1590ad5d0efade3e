"""What hypothesis draws in more than one test module, and how long it may take."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.torture import rounds

QUICK = settings(
    max_examples=rounds(40, 1000),
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
"""For tests in memory."""

SLOW = settings(QUICK, max_examples=rounds(6, 120))
"""For tests whose examples each write to a database."""

TAG_LIKE_KEYS = ("$float", "$text", "$$float", "$$$text", "$", "$floats", "$$", "float")
TAG_LIKE_TEXTS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "nan",
    "null",
    "\\u0000",
    '"$',
    "a\x00b",
    "\ud800",
)

any_text = st.one_of(st.sampled_from(TAG_LIKE_TEXTS), st.text(st.characters(), max_size=12))
"""Text of any characters, the NUL character and lone surrogates included."""

keys = st.one_of(
    st.sampled_from(TAG_LIKE_KEYS),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
)
numbers = st.one_of(
    st.integers(),
    st.integers(-(10**60), 10**60),
    st.floats(),
    st.sampled_from([math.nan, math.inf, -math.inf, -0.0, 5e-324, 2**63, -(2**63) - 1, 2**64]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, any_text)
documents = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)
"""Any value JSON can be asked to hold."""


def same(left: Any, right: Any) -> bool:
    """Compare like ``==``, but NaN equals NaN and neither 1, 1.0 and True nor 0.0 and -0.0 do."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        if math.isnan(left):
            return math.isnan(right)
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return bool(left == right)
