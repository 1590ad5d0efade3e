"""What a copy to PostgreSQL could not hold as it was, taken out of the events that keep it."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any

from tests.transfer.databases import METRIC
from tests.transfer.oddities import key_of
from tests.transfer.truth import TABLES, own_columns, plain, rows

KIND = "copy.original"
Cell = tuple[Any, str, str, Any]
"""A run, a table, a column, and what stood there."""


def changed(source: str, server: str) -> set[Cell]:
    """Return what is not on the server as it is in a file that has one row a run and table."""
    found = set()
    for table in TABLES:
        if table == "metric_names":
            continue
        after = of_runs(server, table)
        for run, row in of_runs(source, table).items():
            there = after.get(run)
            found |= {
                (run, table, column, value)
                for column, value in row.items()
                if there is None or there[column] != value
            }
    return found


def kept(server: str) -> set[Cell]:
    """Return what the events of a server keep, with the values as they were."""
    found = set()
    for event in rows(server, "run_events"):
        if event["kind"] == KIND:
            data = json.loads(event["data_json"])
            kinds = {one.name: one.type.python_type for one in own_columns(data["table"])}
            for column, packed in data["values"].items():
                was = METRIC if column == "metric_id" else plain(value(packed), kinds[column])
                found.add((event["run_number"], data["table"], column, was))
    return found


def of_runs(url: str, table: str) -> dict[Any, dict[str, Any]]:
    """Return the one row of each run in a table, by the number of the run."""
    numbers = {row["run_id"]: row["number"] for row in rows(url, "training_runs")}
    found = {}
    for row in rows(url, table):
        if row.get("kind") != KIND:
            key = row[key_of(table)]
            number = numbers[key] if key_of(table) == "run_id" else key
            found[number] = {name: value for name, value in row.items() if name != "id"}
    return found


def value(packed: Any) -> Any:
    """Unpack a value of an event."""
    if not isinstance(packed, dict):
        return packed
    [(kind, text)] = packed.items()
    if kind == "float":
        return float.fromhex(text)
    raw = b64decode(text)
    return raw if kind == "bytes" else raw.decode("utf-8", "surrogateescape")
