"""SQL is never built from values: what stands in a text of SQL is a name of ours, or quoted."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.security.sql_parts import ALLOWED

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
SOURCES = {
    str(path.relative_to(ROOT)): path
    for folder in ("alembic", "src")
    for path in sorted((ROOT / folder).rglob("*.py"))
}
STATEMENT = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|MERGE|CREATE|ALTER|DROP|TRUNCATE|PRAGMA|VACUUM|ANALYZE|"
    r"REINDEX|COPY|GRANT|REVOKE|SET|RESET|LOCK|BEGIN|COMMIT|SAVEPOINT|ATTACH|DETACH|EXPLAIN|WITH|"
    r"VALUES|FROM|WHERE|JOIN|ORDER BY|GROUP BY|ON CONFLICT|LISTEN|NOTIFY|CLUSTER|REFRESH)\b"
)
CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")
"""What is named so is written in the module, and never changes."""
TAKES_SQL = {
    "text", "literal_column", "exec_driver_sql", "execute", "executemany", "executescript",
    "scalar", "scalars", "copy", "DDL",
}  # fmt: skip
"""Calls whose first argument is SQL where it is a text."""


def parts_of(node: ast.expr) -> list[str] | None:
    """Return what is pasted into a text, as it stands in the code; ``None`` of what is no text."""
    if isinstance(node, ast.Constant):
        return [] if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return [
            ast.unparse(one.value) for one in node.values if isinstance(one, ast.FormattedValue)
        ]
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Mod)):
        left, right = parts_of(node.left), parts_of(node.right)
        if left is None and right is None:
            return None
        return [
            *([ast.unparse(node.left)] if left is None else left),
            *([ast.unparse(node.right)] if right is None else right),
        ]
    if isinstance(node, ast.Call) and is_made_of_text(node.func):
        return [ast.unparse(one) for one in (*node.args, *(key.value for key in node.keywords))]
    return None


def is_made_of_text(called: ast.expr) -> bool:
    """Tell whether a call is of ``format`` or ``join`` of a text."""
    is_method = isinstance(called, ast.Attribute) and called.attr in ("format", "join")
    return is_method and parts_of(called.value) is not None


def literal(node: ast.expr) -> str:
    """Return the words of a text that stand in the code."""
    return "".join(
        one.value
        for one in ast.walk(node)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    )


def pasted(source: str) -> Iterator[tuple[int, str]]:
    """Find what a module pastes into SQL: the line, and each expression."""
    tree = ast.parse(source)
    asked = {
        id(call.args[0])
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and call.args
        and getattr(call.func, "attr", getattr(call.func, "id", "")) in TAKES_SQL
    }  # fmt: skip
    inner: set[int] = set()
    for node in ast.walk(tree):
        if id(node) in inner or not isinstance(node, (ast.JoinedStr, ast.BinOp, ast.Call)):
            continue
        parts = parts_of(node)
        if parts and (id(node) in asked or STATEMENT.match(literal(node))):
            inner |= {id(one) for one in ast.walk(node)}
            for part in parts:
                yield node.lineno, part


def test_what_is_pasted_into_sql_is_listed_with_the_reason_why_it_may_be() -> None:
    unknown = [
        f"{name}:{line}: {part}"
        for name, path in SOURCES.items()
        for line, part in pasted(path.read_text())
        if not CONSTANT.fullmatch(part) and part not in ALLOWED.get(name, {})
    ]
    assert not unknown, "bind values; quote names, and list them in tests/security/sql_parts.py"


def test_only_modules_that_are_there_are_listed() -> None:
    assert {*ALLOWED} <= {*SOURCES}


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("connection.execute(text(f\"SELECT * FROM runs WHERE id = '{run_id}'\"))", ["run_id"]),
        ('query = "DELETE FROM runs WHERE id = %s" % run_id', ["run_id"]),
        ('query = "SELECT {} FROM runs".format(column)', ["column"]),
        ('query = "SELECT a FROM runs WHERE " + condition', ["condition"]),
        ('text("a = " + value)', ["value"]),
        ('cursor.execute(f"{verb} INTO runs")', ["verb"]),
        ('connection.execute(text("SELECT 1 WHERE id = :id"), {"id": run_id})', []),
        ('message = f"there is no run {run_id}"', []),
        ('connection.execute(text(f"SELECT {COLUMNS}"))', ["COLUMNS"]),
    ],
)
def test_pasting_is_seen_in_each_of_its_forms(code: str, parts: list[str]) -> None:
    assert [part for _, part in pasted(code)] == parts
