"""What hypothesis passes to a public call: what belongs there, and what nobody would expect."""

from __future__ import annotations

import inspect
import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from hypothesis import strategies as st

from tests.unit.strategies import any_text, documents, numbers

if TYPE_CHECKING:
    from collections.abc import Callable

HOSTILE = (
    "'; DROP TABLE training_runs; --", '"; DELETE FROM training_runs; --', "%s %(x)s %", ":name ?",
    "$1 {0} {name}", "\\", "a'b\"c`d", "\x1b[31m\n\t", "損失", "x" * 3_000, "*/ OR 1=1 /*",
)  # fmt: skip
"""Texts that mean something to SQL, to drivers, to formats or to a terminal."""
KNOWN = (
    "r1", "loss", "QED", "c1", "min", "max", "last", "raw_mean", "host", "status",
    "created_at DESC", "status = 'failed'", "config.a = 1", "gradient_method", "1",
)  # fmt: skip
ODD: tuple[Any, ...] = (
    object(), len, int, Ellipsis, {1, 2}, b"\xff", 1j, Decimal("0.1"), Decimal("NaN"), range(3),
    date(2024, 1, 1), datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC),  # noqa: DTZ001
    timedelta(days=1), timedelta.min, Path("nowhere"), slice(1), np.float32(1.5), np.int64(3),
    np.datetime64("2024-01-01"), [None], [[]], {None: 1}, {1: 2}, (), {"loss": [1.0, math.nan]},
    {"QED": {"min": 0.1}}, {"status": "failed"}, [{"scaffold_id": "c1"}], [{"run_id": "r1"}],
    10**400, -(2**63) - 1,
)  # fmt: skip
arrays = st.sampled_from(
    [np.array([1.0, math.nan]), np.array([]), np.array(["x"]), np.array(5), np.array([object()])]
)
values = st.one_of(
    st.sampled_from(KNOWN),
    st.sampled_from(HOSTILE),
    st.sampled_from(ODD),
    st.builds(lambda: iter(["loss", 1])),
    arrays,
    any_text,
    numbers,
    documents,
)
flags = st.one_of(st.booleans(), st.none(), st.integers(), any_text)
"""What is only asked whether it is true: an array of several cannot say."""
GOOD: dict[str, Any] = {
    "run_id": "r1", "run_ids": ["r1", "r2"], "metric": "loss", "metrics": ["loss"],
    "metric_name": "loss", "objective_name": "QED", "objectives": ["QED"], "names": ["QED"],
    "filters": None, "filter": None, "status": "failed", "by": "host", "mode": "min",
    "statistic": "last", "metric_type": "raw_mean", "writer": 7, "writers": [7], "rows": (0, 0),
}  # fmt: skip
FIELDS = (
    "host", "notes", "final_loss", "created_at", "batch_size", "config", "summary", "history_json",
    "raw_mean", "direction", "number", "deleted_at", "limit", "x'; --",
)  # fmt: skip


@st.composite
def arguments(draw: st.DrawFn, call: Callable[..., Any]) -> tuple[list[Any], dict[str, Any]]:
    """Draw what a call can be given without Python itself refusing it."""
    given: list[Any] = []
    named: dict[str, Any] = {}
    for one in inspect.signature(call).parameters.values():
        if one.kind is one.VAR_KEYWORD:
            taken = {*inspect.signature(call).parameters}
            free = [name for name in FIELDS if name not in taken]
            named |= draw(st.dictionaries(st.sampled_from(free), values, max_size=2))
        elif one.kind is one.VAR_POSITIONAL:
            given += draw(st.lists(values, max_size=2))
        else:
            drawn = flags if "bool" in str(one.annotation) else values
            value = draw(st.one_of(st.just(GOOD[one.name]), drawn) if one.name in GOOD else drawn)
            if one.default is one.empty and one.kind is not one.KEYWORD_ONLY:
                given.append(value)
            elif one.default is one.empty or draw(st.booleans()):
                named[one.name] = value
    return given, named
