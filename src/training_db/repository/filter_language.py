"""The filter language: ``"gradient_method = 'mgda' and objective.QED > 0.6"``.

Words such as ``and`` may be written in any case. Texts stand in quotes, numbers and
``true``/``false`` do not. ``is missing`` asks for what has no value.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lark import Lark, Token, Transformer, UnexpectedInput
from lark.exceptions import VisitError

from training_db.errors import FilterSyntaxError, TrainingDBError
from training_db.repository.filters import (
    Among,
    And,
    Compare,
    Field,
    Filter,
    Like,
    Missing,
    Not,
    Or,
    field,
)

if TYPE_CHECKING:
    from collections.abc import Callable

GRAMMAR = r"""
?start: alternatives
?alternatives: both (_OR both)*               -> either
?both: negation (_AND negation)*              -> every
?negation: _NOT negation                      -> inverse
         | "(" alternatives ")"
         | test
?test: field OPERATOR value                   -> compare
     | field NOT? _IN "(" value ("," value)* ")"  -> among
     | field NOT? _LIKE STRING                -> like
     | field _IS NOT? _MISSING                -> missing
field: FIELD
value: STRING | NUMBER | NONFINITE | TRUE | FALSE

_OR.2: /or\b/i
_AND.2: /and\b/i
_NOT.2: /not\b(?!\s*[.=<>!])/i
NOT.2: /not\b/i
_IN.2: /in\b/i
_LIKE.2: /like\b/i
_IS.2: /is\b/i
_MISSING.2: /missing\b/i
TRUE.2: /true\b/i
FALSE.2: /false\b/i
OPERATOR: "<=" | ">=" | "!=" | "=" | "<" | ">"
NONFINITE.2: /[+-]?(?:nan|inf(?:inity)?)\b/i
NUMBER: /[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?(?![\w.])/i
STRING: /'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"/s
FIELD: /(?:[^\s<>=!(),"'.]+|"(?:[^"\\]|\\.)*")(?:\.(?:[^\s<>=!(),"'.]+|"(?:[^"\\]|\\.)*"))*/
%ignore /\s+/
"""

_TOO_DEEP = "the filter is nested too deep; use fewer parentheses"
LONGEST = 100_000
LONGEST_NUMBER = 400


@lru_cache(maxsize=1_024)  # reading takes a millisecond, and the same is asked again and again
def parse(text: str) -> Filter:
    """Read a filter.

    Args:
        text: The filter; an empty one matches every run.

    Returns:
        The tree.

    Raises:
        FilterSyntaxError: The text cannot be read; the message points at the place.
        UnknownName: A field that does not exist.

    Example:
        >>> parse("not (status = 'failed')")
        Not(part=Compare(field=ColumnField(name='status'), operator='=', value='failed'))
    """
    if not text.strip():
        return And(())
    if len(text) > LONGEST:
        raise FilterSyntaxError(f"the filter has {len(text):,} characters; {LONGEST:,} are read")
    try:
        tree: Filter = _Tree().transform(_parser().parse(text))
    except UnexpectedInput as error:
        raise FilterSyntaxError(_pointed(text, error)) from None
    except RecursionError:
        raise FilterSyntaxError(_TOO_DEEP) from None
    except VisitError as error:
        if isinstance(error.orig_exc, TrainingDBError):
            raise error.orig_exc from None
        if isinstance(error.orig_exc, RecursionError):
            raise FilterSyntaxError(_TOO_DEEP) from None
        raise
    return tree


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", maybe_placeholders=False)


def _pointed(text: str, error: UnexpectedInput) -> str:
    at = error.pos_in_stream
    at = len(text) if at is None or at < 0 or str(getattr(error, "token", "")) == "" else at
    rest = text[at:]
    if not rest.strip():
        hint = "something is missing at the end"
    elif re.match(r"(?i)(null|none)\b", rest):
        hint = "write `is missing` for what has no value"
    elif re.match(r"[^\W\d]", rest) and re.search(r"[=<>]\s*$|[(,]\s*$", text[:at]):
        hint = "texts stand in quotes, like 'mgda'"
    else:
        hint = "expected something like: status = 'failed' and objective.QED > 0.6"
    shown = text[max(0, at - 40) : at + 40]
    line = "".join(one if one.isprintable() else " " for one in shown)
    return f"the filter cannot be read at {at + 1}: {hint}\n  {line}\n  {' ' * min(at, 40)}^"


class _Tree(Transformer[Token, Filter]):
    """Turns what lark parsed into our tree; methods are named after the grammar's rules."""

    def every(self, parts: list[Filter]) -> Filter:
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def either(self, parts: list[Filter]) -> Filter:
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def inverse(self, parts: list[Filter]) -> Filter:
        return Not(parts[0])

    def compare(self, parts: list[Any]) -> Filter:
        target, operator, value = parts
        return Compare(target, str(operator), value)

    def among(self, parts: list[Any]) -> Filter:
        target, values, negated = _split(parts)
        return Among(target, tuple(values), negated=negated)

    def like(self, parts: list[Any]) -> Filter:
        target, (pattern,), negated = _split(parts)
        return Like(target, _unquoted(pattern), negated=negated)

    def missing(self, parts: list[Any]) -> Filter:
        target, _, negated = _split(parts)
        return Missing(target, negated=negated)

    def field(self, parts: list[Token]) -> Field:
        return field(str(parts[0]))

    def value(self, parts: list[Token]) -> Any:
        (token,) = parts
        return _VALUES[token.type](str(token))


def _split(parts: list[Any]) -> tuple[Field, list[Any], bool]:
    target, *rest = parts
    negated = bool(rest) and isinstance(rest[0], Token) and rest[0].type == "NOT"
    return target, rest[1:] if negated else rest, negated


def _unquoted(text: str) -> str:
    inner = text[1:-1]
    if text[0] == "'":
        inner = inner.replace("''", "'")
    # Other backslashes stay: `like` reads `\%` as a percent sign.
    return re.sub(r"\\([\\'\"])", r"\1", inner)


def _number(text: str) -> int | float:
    # Python refuses to read integers of thousands of digits; no float is that large either.
    return (
        int(text) if len(text) < LONGEST_NUMBER and text.lstrip("+-").isdecimal() else float(text)
    )


def _nonfinite(text: str) -> float:
    return math.nan if "nan" in text.lower() else float(text)


_VALUES: dict[str, Callable[[str], Any]] = {
    "STRING": _unquoted,
    "NUMBER": _number,
    "NONFINITE": _nonfinite,
    "TRUE": lambda _: True,
    "FALSE": lambda _: False,
}
