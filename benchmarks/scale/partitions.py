"""Whether the tables of history gain from hash partitions by run on PostgreSQL.

Both forms of run_metrics and run_history_segments stand in one database, with the same rows, and
are asked the same in turns.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg

from benchmarks.comparison import Comparison, print_comparisons
from benchmarks.databases import fresh, server
from benchmarks.timing import timed_in_turns
from training_db.db.migrations import upgrade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RUNS, METRICS, PARTITIONS = 10_000, 149, 16
TABLES = ("run_metrics", "run_history_segments")
FILLED = {
    "run_metrics": """
        INSERT INTO run_metrics (run_number, metric_id, count, non_finite_count, other_count,
            first, first_step, last, last_step, min, min_step, max, max_step, mean)
        SELECT run, metric, 10000, 0, 0, random(), 0, random(), 9999, random() / 2, 5000,
            random() + 1, 20, random()
        FROM generate_series({first}, {last}) run, generate_series(1, {metrics}) metric
    """,
    "run_history_segments": """
        INSERT INTO run_history_segments (run_number, metric_id, writer, first_row, last_row,
            count, min, max, non_finite_count, kind, row_numbers, cells)
        SELECT run, metric, 1, 0, 99, 100, random(), random() + 1, 0, 'float', NULL,
            decode(repeat(md5(random()::text), 8), 'hex')
        FROM generate_series({first}, {last}) run, generate_series(1, {metrics}) metric
    """,
}


def main() -> None:
    """Fill both forms, and print what each thing takes."""
    with server() as server_url, fresh("PostgreSQL", server_url, "partitions") as url:
        upgrade(url)
        with psycopg.connect(url, autocommit=True) as connection:
            _fill(connection)
            print_comparisons(_compared(connection))


def _fill(connection: Any) -> None:
    connection.execute(
        "INSERT INTO training_runs (run_id) SELECT 'run-' || n FROM generate_series(1, %s) n",
        [2 * RUNS],
    )
    connection.execute(
        "INSERT INTO metric_names (name) SELECT 'metric ' || n FROM generate_series(1, %s) n",
        [METRICS],
    )
    for table in TABLES:
        # With indexes and keys, like the table that it is made after.
        connection.execute(
            f"CREATE TABLE {table}_parts (LIKE {table} INCLUDING ALL) "
            "PARTITION BY HASH (run_number)"
        )
        for part in range(PARTITIONS):
            connection.execute(
                f"CREATE TABLE {table}_part_{part} PARTITION OF {table}_parts "
                f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {part})"
            )
        for column, other in (("run_number", "training_runs (number)"),
                              ("metric_id", "metric_names (id)")):  # fmt: skip
            connection.execute(
                f"ALTER TABLE {table}_parts ADD FOREIGN KEY ({column}) REFERENCES {other} "
                "ON DELETE CASCADE"
            )
        connection.execute(FILLED[table].format(first=1, last=RUNS, metrics=METRICS))
        connection.execute(f"INSERT INTO {table}_parts SELECT * FROM {table}")
        connection.execute(f"VACUUM ANALYZE {table}")
        connection.execute(f"VACUUM ANALYZE {table}_parts")


def _compared(connection: Any) -> Iterator[Comparison]:
    dice = random.Random(0)  # noqa: S311 - test data
    for table in TABLES:
        asked = {
            f"{table}: one metric of a run": (
                "SELECT * FROM {table} WHERE run_number = %s AND metric_id = %s",
                lambda: (dice.randrange(1, RUNS), dice.randrange(1, METRICS)),
                50,
            ),
            f"{table}: all metrics of a run": (
                "SELECT * FROM {table} WHERE run_number = %s",
                lambda: (dice.randrange(1, RUNS),),
                20,
            ),
            f"{table}: delete a run": (
                "DELETE FROM {table} WHERE run_number = %s",
                lambda: (dice.randrange(1, RUNS),),
                10,
            ),
        }
        if table == "run_metrics":
            asked[f"{table}: 100 runs by a threshold"] = (
                "SELECT run_number FROM {table} WHERE metric_id = %s AND min < 0.01 LIMIT 100",
                lambda: (dice.randrange(1, METRICS),),
                20,
            )
        for what, (statement, values, inner) in asked.items():
            yield _compare(what, connection, table, statement, values, inner)
        firsts = iter(range(RUNS + 1, 2 * RUNS))
        plain, parted = timed_in_turns(
            *(
                partial(_insert, connection, table, into, firsts)
                for into in (table, f"{table}_parts")
            ),
            inner=10,
        )
        yield _line(f"{table}: insert a run", plain, parted)
        plain, parted = timed_in_turns(
            *(lambda of=of: connection.execute(f"VACUUM {of}") for of in (table, f"{table}_parts"))
        )
        yield _line(f"{table}: vacuum", plain, parted)


def _insert(connection: Any, table: str, into: str, runs: Iterator[int]) -> None:
    run = next(runs)
    statement = FILLED[table].replace(f"INTO {table} ", f"INTO {into} ")
    connection.execute(statement.format(first=run, last=run, metrics=METRICS))


def _compare(
    what: str, connection: Any, table: str, statement: str, values: Callable[[], Any], inner: int
) -> Comparison:
    plain, parted = timed_in_turns(
        *(
            lambda of=of: connection.execute(statement.format(table=of), values())
            for of in (table, f"{table}_parts")
        ),
        inner=inner,
    )
    return _line(what, plain, parted)


def _line(what: str, plain: Any, parted: Any) -> Comparison:
    return Comparison(
        what,
        "ms",
        plain.median * 1e3,
        {"by hand": parted.median * 1e3},
        spread=max(plain.noise, parted.noise),
    )


if __name__ == "__main__":
    main()
