"""Column types and expressions that mean the same on SQLite and on PostgreSQL.

With :mod:`training_db.db.engine`, this is the only place that knows the two apart.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Double,
    Integer,
    Text,
    and_,
    case,
    cast,
    false,
    func,
    literal,
    not_,
    or_,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from training_db.errors import InvalidValue
from training_db.timestamps import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler

    Processor = Callable[[Any], Any] | None
    JSONScalar = bool | int | float | str

# Code-point order everywhere: a server's locale must not change which runs `name > 'a'` finds.
PlainText = Text().with_variant(Text(collation="C"), "postgresql")
BigInt = BigInteger().with_variant(Integer(), "sqlite")
RowId = BigInteger().with_variant(Integer(), "sqlite")
Flag = Boolean(create_constraint=False)

LARGEST = 2**63 - 1
SMALLEST = -(2**63)
LONGEST_INDEXED = 1000
"""Bytes of a text that stands in an index; an index row of PostgreSQL ends at 2,704."""


class ServerType(UserDefinedType[Any]):
    """A type of PostgreSQL by its name, for columns and casts that no value of ours passes.

    SQLAlchemy's own classes would load its whole PostgreSQL dialect, also for SQLite.
    """

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_kw: Any) -> str:
        return self.name


JSONB = ServerType("JSONB")
JSONPATH = ServerType("JSONPATH")
TEXT_ARRAY = ServerType("TEXT[]")


class Real(TypeDecorator[float]):
    """A 64-bit float that keeps NaN. SQLite turns a bound NaN into NULL, so it goes in as text.

    Text sorts above every number there, as NaN does on PostgreSQL, so both compare it alike.
    """

    impl = Double
    cache_ok = True
    python_type = float

    def bind_processor(self, dialect: Dialect) -> Processor:
        if dialect.name != "sqlite":
            return None
        return lambda value: "NaN" if value is not None and value != value else value

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:
        del coltype
        if dialect.name != "sqlite":
            return None
        return lambda value: math.nan if value == "NaN" else value


class UTCDateTime(TypeDecorator[datetime]):
    """A moment in time, aware and in UTC. SQLite keeps it as text of one fixed form."""

    impl = DateTime(timezone=True)
    cache_ok = True
    python_type = datetime

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else self.impl_instance)

    def bind_processor(self, dialect: Dialect) -> Processor:
        form = format_timestamp if dialect.name == "sqlite" else lambda moment: moment
        return lambda moment: None if moment is None else form(_aware(moment))

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:
        del dialect, coltype
        return lambda value: None if value is None else parse_timestamp(value)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise InvalidValue(f"the datetime {moment!r} is naive; give it a timezone, such as UTC")
    return moment


class Timestamp(TypeDecorator[str]):
    """A :class:`UTCDateTime` column read as text, in the form that is shown."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else self.impl_instance)

    def bind_processor(self, dialect: Dialect) -> Processor:
        # SQLite has that form already, and compares old text that is no time as it stands.
        return None if dialect.name == "sqlite" else parse_timestamp

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:
        del coltype
        if dialect.name == "sqlite":
            return None
        return lambda value: None if value is None else format_timestamp(value)


class utc_now(FunctionElement[Any]):  # noqa: N801 - it stands in SQL like a function's name
    """The database's clock, as a column default in the stored form."""

    type = DateTime(timezone=True)
    inherit_cache = True


@compiles(utc_now, "sqlite")
def _utc_now_sqlite(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    del element, compiler, kw
    return "(strftime('%Y-%m-%dT%H:%M:%f', 'now') || '000Z')"


@compiles(utc_now)
def _utc_now(element: utc_now, compiler: SQLCompiler, **kw: Any) -> str:
    del element, compiler, kw
    return "now()"


class next_run_number(FunctionElement[Any]):  # noqa: N801 - it stands in SQL like a function's name
    """The number of a new run. SQLite has no sequences; there a trigger fills it in."""

    type = BigInteger()
    inherit_cache = True


@compiles(next_run_number, "sqlite")
def _next_run_number_sqlite(element: next_run_number, compiler: SQLCompiler, **kw: Any) -> str:
    del element, compiler, kw
    return "NULL"


@compiles(next_run_number)
def _next_run_number(element: next_run_number, compiler: SQLCompiler, **kw: Any) -> str:
    del element, compiler, kw
    return "nextval('training_runs_number_seq'::regclass)"


class by_backend(ColumnElement[bool]):  # noqa: N801 - it stands in SQL like a function's name
    """A condition written twice, of which each backend gets its own."""

    type = Boolean()
    inherit_cache = True
    _traverse_internals = [  # noqa: RUF012 - SQLAlchemy's protocol for cached expressions
        ("sqlite", InternalTraversal.dp_clauseelement),
        ("postgresql", InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, *, sqlite: ColumnElement[bool], postgresql: ColumnElement[bool]) -> None:
        self.sqlite = sqlite.self_group()
        self.postgresql = postgresql.self_group()


@compiles(by_backend)
def _by_backend(element: by_backend, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(getattr(element, compiler.dialect.name), **kw)


def text_like(column: ColumnElement[Any], pattern: str, *, negated: bool) -> ColumnElement[bool]:
    r"""Match text against a pattern, upper and lower case told apart.

    Args:
        column: The text.
        pattern: ``%`` stands for any characters, ``_`` for one, and ``\`` takes the next as it is.
        negated: Whether to ask for what does not match.
    """
    return by_backend(
        sqlite=_glob(column, pattern, negated=negated),
        postgresql=column.not_like(pattern) if negated else column.like(pattern),
    )


@dataclass(frozen=True)
class JSONPath:
    """The place of a value inside a column of JSON text.

    Each condition is true where it holds, and not true where the value is missing, not finite, or
    of another JSON type than what it is compared with.

    Args:
        text: The column with the JSON text, which SQLite reads.
        document: The same as JSONB, which PostgreSQL alone has.
        keys: The keys from the top of the document down to the value.
    """

    text: ColumnElement[Any]
    document: ColumnElement[Any]
    keys: tuple[str, ...]

    def compare(self, operator: str, value: JSONScalar) -> ColumnElement[bool]:
        """Compare with a value by one of ``= != < <= > >=``."""
        kind, stored_types = _JSON_TYPES[type(value)]
        stored_type, stored = self._on_sqlite()
        symbol = json.dumps(value, ensure_ascii=False)
        # The literal goes through SQLite's own number parser too: equal texts, equal numbers.
        given: ColumnElement[Any] = func.json_extract(symbol, "$")
        if operator in ("=", "!=") and isinstance(value, int) and not SMALLEST <= value <= LARGEST:
            # That parser makes floats of such integers; their digits tell them apart.
            stored, given = func.training_db_lookup(self.text, json.dumps(self.keys)), _text(symbol)
        on_sqlite = and_(
            stored_type.in_(stored_types), stored.op(operator, is_comparison=True)(given)
        )
        on_postgresql = self._where(f'@.type() == "{kind}" && @ {operator} {symbol}')
        if operator == "=":  # containment is what the GIN index answers
            nested = cast(_text(_nested(self.keys, symbol)), JSONB)
            on_postgresql = self.document.op("@>", is_comparison=True)(nested)
        return by_backend(sqlite=on_sqlite, postgresql=on_postgresql)

    def differs(self, values: Iterable[JSONScalar]) -> ColumnElement[bool]:
        """Ask for another value than these, of one of their types."""
        by_type: dict[str, list[ColumnElement[bool]]] = {}
        for value in values:
            by_type.setdefault(_JSON_TYPES[type(value)][0], []).append(self.compare("!=", value))
        return or_(false(), *(and_(*differs) for differs in by_type.values()))

    def like(self, pattern: str, *, negated: bool) -> ColumnElement[bool]:
        """Match a text against a pattern, as :func:`text_like` does."""
        stored_type, stored = self._on_sqlite()
        text = func.jsonb_path_query_first(
            self.document,
            cast(_text(f'strict {_jsonpath(self.keys)} ? (@.type() == "string")'), JSONPATH),
            cast(_text("{}"), JSONB),
            True,  # a missing key is no error
        ).op("#>>")(cast(_text("{}"), TEXT_ARRAY))
        return by_backend(
            sqlite=and_(stored_type == "text", _glob(stored, pattern, negated=negated)),
            postgresql=text.not_like(pattern) if negated else text.like(pattern),
        )

    def missing(self, *, negated: bool) -> ColumnElement[bool]:
        """Ask whether there is no such key, or null at it."""
        stored_type, _ = self._on_sqlite()
        there = self._where('@.type() != "null"')
        absent = func.coalesce(stored_type, "null") == "null"
        return by_backend(
            sqlite=not_(absent) if negated else absent,
            postgresql=there.is_(True) if negated else there.is_not(True),
        )

    def _where(self, test: str) -> ColumnElement[bool]:
        path = f"strict {_jsonpath(self.keys)} ? ({test})"
        return self.document.op("@?", is_comparison=True)(cast(_text(path), JSONPATH))

    def _on_sqlite(self) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """Return the JSON type and the value."""
        if not all(_is_plain(key) for key in self.keys):
            # SQLite compares such keys as they are escaped, which differs from text to text.
            node = func.training_db_lookup(self.text, json.dumps(self.keys))
            return func.json_type(node), func.json_extract(node, "$")
        path = "$" + "".join(f'."{key}"' for key in self.keys)
        # json_extract fails on text that is no JSON, as old rows may hold.
        valid = case(
            (func.json_valid(self.text) == 1, self.text),
            else_=func.training_db_document(self.text),
        )
        return func.json_type(valid, path), func.json_extract(valid, path)


_JSON_TYPES = {
    bool: ("boolean", ("true", "false")),
    int: ("number", ("integer", "real")),
    float: ("number", ("integer", "real")),
    str: ("string", ("text",)),
}


def _text(value: str) -> ColumnElement[str]:
    # A bare parameter would take the type it is cast to.
    return literal(value, Text)


def _is_plain(key: str) -> bool:
    return key.isascii() and key.isprintable() and bool(key) and not {'"', "\\"} & set(key)


def _jsonpath(keys: tuple[str, ...]) -> str:
    return "$" + "".join(f".{json.dumps(key, ensure_ascii=False)}" for key in keys)


def _nested(keys: tuple[str, ...], symbol: str) -> str:
    opening = "".join(f"{{{json.dumps(key, ensure_ascii=False)}:" for key in keys)
    return opening + symbol + "}" * len(keys)


def _glob(text: ColumnElement[Any], pattern: str, *, negated: bool) -> ColumnElement[bool]:
    """Match by GLOB, which is SQLite's LIKE that tells upper from lower case."""
    wildcards = {"%": "*", "_": "?"}
    plain = {"*": "[*]", "?": "[?]", "[": "[[]"}
    parts, characters = [], iter(pattern)
    for character in characters:
        if character == "\\":
            character = next(characters, "\\")  # noqa: PLW2901 - the one that is taken as it is
            parts.append(plain.get(character, character))
        else:
            parts.append(wildcards.get(character) or plain.get(character, character))
    operator = "NOT GLOB" if negated else "GLOB"
    return text.op(operator, is_comparison=True)("".join(parts))
