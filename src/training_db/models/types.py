"""Column types and expressions that mean the same on SQLite and on PostgreSQL.

With :mod:`training_db.models.conditions` and :mod:`training_db.db.engine`, this is the only place
that knows the two apart.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    DateTime,
    Double,
    Float,
    Integer,
    Text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.visitors import InternalTraversal
from sqlalchemy.types import TypeDecorator, TypeEngine, UserDefinedType

from training_db.errors import InvalidValue
from training_db.timestamps import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler

    Processor = Callable[[Any], Any] | None

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


class _List(TypeDecorator[list[Any]]):
    impl = Text
    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Processor:
        del coltype
        return orjson.loads if dialect.name == "sqlite" else None


class gathered(FunctionElement[Any]):  # noqa: N801 - it stands in SQL like a function's name
    """All values of a group as a list: 100,000 rows take longer on the way than to be found."""

    type = _List()
    inherit_cache = True


@compiles(gathered, "sqlite")
def _gathered_sqlite(element: gathered, compiler: SQLCompiler, **kw: Any) -> str:
    (column,) = element.clauses
    name = compiler.process(column, **kw)
    if isinstance(column.type, Float):  # quote keeps every digit, as JSON there does not
        return f"('[' || group_concat(quote({name})) || ']')"
    return f"json_group_array({name})"


@compiles(gathered)
def _gathered(element: gathered, compiler: SQLCompiler, **kw: Any) -> str:
    return f"array_agg({compiler.process(element.clauses, **kw)})"


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
