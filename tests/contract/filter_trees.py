"""Random filters: trees of conditions, and the conditions on a column."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from training_db.repository.filters import (
    Among,
    And,
    Compare,
    Filter,
    Missing,
    Not,
    Or,
    field,
)


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw filters that are made of some conditions."""
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(Not, inner),
            st.builds(And, st.lists(inner, max_size=3).map(tuple)),
            st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        ),
        max_leaves=4,
    )


def of_column(name: str, wanted: st.SearchStrategy[Any], *, ordered: bool = True) -> Any:
    """Draw conditions on one field, against values that are drawn too."""
    target = field(name)
    operators = ["=", "!=", "<", "<=", ">", ">="] if ordered else ["=", "!="]
    return st.one_of(
        st.builds(Compare, st.just(target), st.sampled_from(operators), wanted),
        st.builds(
            Among,
            st.just(target),
            st.lists(wanted, min_size=1, max_size=3).map(tuple),
            negated=st.booleans(),
        ),
        st.builds(Missing, st.just(target), negated=st.booleans()),
    )


def asks_for_what_is_not_finite(tree: Filter, *, negated: bool = False) -> bool:
    """Tell whether a negation turns ``= nan`` into ``!= nan``, which is refused."""
    match tree:
        case Not(part):
            return asks_for_what_is_not_finite(part, negated=not negated)
        case And(parts) | Or(parts):
            return any(asks_for_what_is_not_finite(part, negated=negated) for part in parts)
        case Compare(_, _, value):
            return negated and isinstance(value, float) and not math.isfinite(value)
    return False
