"""The back-fill of v2: old rows' times in one form, and columns and objectives from their JSON.

It fills only what is NULL, so it may run again; what it cannot read it leaves as it is, and counts.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Progress = Callable[[str, int, int], object] | None

ROWS = 1_000
BYTES = 16_000_000  # of JSON text in a batch: what bounds the memory when configs are large
TIMES = ("created_at", "started_at", "ended_at", "created_at_db", "updated_at_db")
OBJECTIVE_KINDS = {
    "run_id": "text",
    "objective_name": "text",
    "objective_alias": "text",
    "uniprot": "text",
    "weight": "double precision",
    "direction": "text",
    "raw_mean": "double precision",
    "normalized_mean": "double precision",
    "raw_std": "double precision",
    "normalized_std": "double precision",
}
KINDS = {
    "integer": "bigint", "count": "bigint", "rounded": "bigint", "number": "double precision",
    "text": "text", "flag": "boolean", "precision": "boolean",
}  # fmt: skip


def _load(name: str) -> Any:
    spec = spec_from_file_location(f"training_db_{name}", Path(__file__).with_name(f"{name}.py"))
    module = module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


rules = _load("extraction_v2")
FILLED = {
    name: KINDS[kind] for name, (kind, _) in (rules.CONFIG_RULES | rules.SUMMARY_RULES).items()
}


def back_fill(connection: sa.Connection, note: Callable[[str], object], progress: Progress) -> None:
    """Fill all rows of training_runs, batch by batch.

    Args:
        connection: A connection inside the transaction of the migration.
        note: Takes each line of what is to be told at the end.
        progress: Takes a label, the runs done and the runs there are.
    """
    total = connection.scalar(sa.text("SELECT count(*) FROM training_runs")) or 0
    tally: Counter[str] = Counter()
    done = 0
    for batch in _batches(connection):
        updates, objectives = [], []
        for row in batch:
            update, found = _read(row, tally)
            if len(update) > 1:
                updates.append(update)
            objectives += [{"run_id": row["run_id"], "objective_name": name} | fields
                           for name, fields in found.items()]  # fmt: skip
        _update_runs(connection, updates)
        _upsert_objectives(connection, objectives)
        tally["filled"] += len(updates)
        tally["objectives"] += len(objectives)
        done += len(batch)
        if progress:
            progress("filling columns and objectives", done, total)
    _tell(tally, total, note)


def _batches(connection: sa.Connection) -> Iterator[list[dict[str, Any]]]:
    times = f", {', '.join(TIMES)}" if connection.dialect.name == "sqlite" else ""
    start = "SELECT run_id, config_json, final_metrics_json" + times + " FROM training_runs"  # nosec  # noqa: S608 - constants
    end = f" ORDER BY run_id LIMIT {ROWS}"
    first, later = (
        # A few at a time from the server, so that a batch can end before it is too large.
        sa.text(start + where + end).execution_options(stream_results=True, max_row_buffer=50)
        for where in ("", " WHERE run_id > :last")
    )
    batch: list[dict[str, Any]] = []
    while True:
        with connection.execute(
            *(later, {"last": batch[-1]["run_id"]}) if batch else (first,)
        ) as result:
            batch, size = [], 0
            while size < BYTES and (row := result.fetchone()) is not None:
                batch.append(dict(row._mapping))
                size += len(row[1] or "") + len(row[2] or "")
        if not batch:
            return
        yield batch


def _read(
    row: dict[str, Any], tally: Counter[str]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    config = _document(row, "config_json", tally)
    summary = _document(row, "final_metrics_json", tally)
    update = {"run_id": row["run_id"]}
    for document, table, source in (
        (config, rules.CONFIG_RULES, "config_json"),
        (summary, rules.SUMMARY_RULES, "final_metrics_json"),
    ):
        found, wrong = rules.columns(document, table)
        update |= found
        tally.update(f"{source}|of the wrong type for {column}" for column in wrong)
    for name in TIMES:
        if row.get(name) is not None:
            moment = one_form(row[name])
            if moment is None:
                tally[f"{name}|that cannot be read as a time, left as it is"] += 1
            elif moment != row[name]:
                update[name] = moment
    return update, rules.objectives(config, summary)


def _document(row: dict[str, Any], source: str, tally: Counter[str]) -> dict[str, Any]:
    if row[source] is None:
        tally[f"{source}|missing"] += 1
        return {}
    constants: list[str] = []

    def constant(name: str) -> float:
        constants.append(name)
        return float(rules.FLOATS[name])

    try:
        document = json.loads(row[source], parse_constant=constant)
    except (ValueError, TypeError, RecursionError):
        tally[f"{source}|malformed"] += 1
        return {}
    if constants:
        tally[f"{source}|with NaN or Infinity"] += 1
    if not isinstance(document, dict):
        tally[f"{source}|not an object"] += 1
        return {}
    return document


def one_form(value: Any) -> str | None:
    """Write a time of any usual form as ``YYYY-MM-DDTHH:MM:SS.ffffffZ``; None if it is no time."""
    text = str(value).strip()
    try:
        if re.fullmatch(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", text) and not re.fullmatch(
            r"\d{8}", text
        ):
            seconds = float(text)
            while abs(seconds) >= 1e11:  # past the year 5000: milliseconds, or microseconds
                seconds /= 1000
            moment = datetime.fromtimestamp(seconds, UTC)
        else:
            moment = datetime.fromisoformat(re.sub(r"\s*(UTC|GMT)$", "Z", text))
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return aware.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _update_runs(connection: sa.Connection, updates: list[dict[str, Any]]) -> None:
    times = TIMES if connection.dialect.name == "sqlite" else ()
    fills = [f"{name} = coalesce(old.{name}, new.{name})" for name in FILLED]
    sets = ", ".join([*fills, *(f"{name} = coalesce(new.{name}, old.{name})" for name in times)])
    kinds = {"run_id": "text"} | FILLED | dict.fromkeys(times, "text")
    if connection.dialect.name == "sqlite":
        sets = re.sub(r"(old|new)\.", lambda found: "" if found[1] == "old" else ":", sets)
        _many(connection, f"UPDATE training_runs SET {sets} WHERE run_id = :run_id", kinds, updates)  # nosec  # noqa: S608 - constants
    else:
        _many(
            connection,
            f"UPDATE training_runs AS old SET {sets} "  # nosec  # noqa: S608 - constants
            f"FROM {_unnested(kinds)} WHERE old.run_id = new.run_id",
            kinds,
            updates,
        )


def _upsert_objectives(connection: sa.Connection, objectives: list[dict[str, Any]]) -> None:
    names = ", ".join(OBJECTIVE_KINDS)
    fills = ", ".join(
        f"{name} = coalesce(run_objectives.{name}, excluded.{name})"
        for name in list(OBJECTIVE_KINDS)[2:]
    )
    values = (
        f"VALUES ({', '.join(f':{name}' for name in OBJECTIVE_KINDS)})"
        if connection.dialect.name == "sqlite"
        else f"SELECT * FROM {_unnested(OBJECTIVE_KINDS)}"  # nosec  # noqa: S608 - constants
    )
    _many(
        connection,
        f"INSERT INTO run_objectives ({names}) {values} "  # nosec  # constants
        f"ON CONFLICT (run_id, objective_name) DO UPDATE SET {fills}",
        OBJECTIVE_KINDS,
        objectives,
    )


def _unnested(kinds: dict[str, str]) -> str:
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in kinds.items())
    return f"unnest({arrays}) AS new ({', '.join(kinds)})"


def _many(
    connection: sa.Connection, statement: str, kinds: dict[str, str], rows: list[dict[str, Any]]
) -> None:
    """Run a statement for many rows: PostgreSQL takes each column as one array."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        arrays = {name: [row.get(name) for row in rows] for name in kinds}
        connection.execute(sa.text(statement), arrays)
    else:
        connection.execute(
            sa.text(statement),
            [{name: _bound(row.get(name)) for name in kinds} for row in rows],
        )


def _bound(value: Any) -> Any:
    # SQLite would turn a NaN into NULL; as text it sorts above every number, as on PostgreSQL.
    return "NaN" if value.__class__ is float and value != value else value


def _tell(tally: Counter[str], total: int, note: Callable[[str], object]) -> None:
    if not total:
        return
    note(f"read {total} runs: filled columns of {tally.pop('filled')} "
         f"and {tally.pop('objectives')} objectives")  # fmt: skip
    by_column: dict[str, list[str]] = {}
    for key, rows in sorted(tally.items()):
        column, kind = key.split("|")
        by_column.setdefault(column, []).append(f"{rows} {kind}")
    for column, kinds in by_column.items():
        note(f"{column}: {', '.join(kinds)}")
