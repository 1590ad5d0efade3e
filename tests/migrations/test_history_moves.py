"""What v3 makes of history_json, and what comes back of it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import torture
from tests.migrations.histories import (
    KEPT,
    TEXTS,
    any_history,
    histories,
    insert,
    lost,
    texts_of,
    written,
)
from tests.unit.strategies import SLOW
from training_db import segment_blocks, segments
from training_db.db.migrations import check, downgrade, upgrade
from training_db.documents import plain_json

if TYPE_CHECKING:
    from tests.migrations.conftest import Database


@pytest.fixture
def v21(database: Database) -> Database:
    upgrade(database.url, "v2.1")
    return database


def test_every_history_comes_back_as_the_json_value_that_it_was(v21: Database) -> None:
    insert(v21, TEXTS)

    upgrade(v21.url)
    assert check(v21.url).faults == []
    layouts = v21.rows("SELECT run_id, history_layout FROM training_runs")
    kept = {row["run_id"] for row in layouts if (row["history_layout"] or "").startswith("=")}
    notes = downgrade(v21.url, "v2.1", backup=False).notes

    assert lost(TEXTS, histories(v21)) == {}
    assert kept == KEPT & TEXTS.keys()
    assert f"dropped {len(TEXTS)} runs' numbers" in notes


@given(st.lists(st.tuples(any_history, written), min_size=1, max_size=40))
@SLOW
def test_any_history_comes_back_in_both_forms(v21: Database, drawn: list[tuple[Any, Any]]) -> None:
    before = {str(index): text for index, text in enumerate(texts_of(drawn))}
    v21.run("DELETE FROM run_history_key_metrics")
    v21.run("DELETE FROM training_runs")
    insert(v21, before)

    upgrade(v21.url, backup=False)
    downgrade(v21.url, "v2.1", backup=False)

    assert lost(before, histories(v21)) == {}


def test_the_library_reads_what_the_migration_stored(v21: Database) -> None:
    from training_db import TrainingDB

    insert(v21, TEXTS)
    upgrade(v21.url, backup=False)

    with TrainingDB(v21.url) as db:
        read_back = {name: db.history.json(name) for name in TEXTS}

    plain = {name: text and plain_json(text) for name, text in TEXTS.items() if name not in KEPT}
    assert lost(plain, read_back) == {}


def logged_live(database: Database) -> int:
    """Log a run at v3 by two writers: segments and a tail of each, and gaps."""
    database.insert("training_runs", run_id="live")
    number = database.value("SELECT number FROM training_runs WHERE run_id = 'live'")
    for metric, name in ((1, "loss"), (2, "note")):
        database.insert("metric_names", id=metric, name=name)
    for writer in (20, 9):
        start = writer * 100
        loss = segments.column([start + 0.5, None, float("nan")])
        segment = segments.encode(loss)
        insert_segment(database, number, 1, writer, segment)
        block = segment_blocks.pack(
            {1: segments.column([start + 1.5], 3), 2: segments.column(["x", {"a": 1}], 4)}, 3
        )
        database.insert("run_history_tails", run_number=number, writer=writer, first_row=3,
                        last_row=5, block=block)  # fmt: skip
    return int(number)


def insert_segment(database: Database, number: int, metric: int, writer: int, segment: Any) -> None:
    database.insert(
        "run_history_segments", run_number=number, metric_id=metric, writer=writer,
        **{name: getattr(segment, name) for name in segment.__slots__},
    )  # fmt: skip


def test_what_several_writers_logged_goes_down_in_their_order(database: Database) -> None:
    upgrade(database.url)
    logged_live(database)

    notes = downgrade(database.url, "v2.1", backup=False).notes

    nan = {"$float": "NaN"}
    assert json.loads(histories(database)["live"] or "") == {
        "loss": [900.5, None, nan, 901.5, None, None, 2000.5, None, nan, 2001.5, None, None],
        "note": [None] * 4 + ["x", {"a": 1}] + [None] * 4 + ["x", {"a": 1}],
    }
    told = "dropped who logged which rows of 1 runs; v2.1 has the rows, in their order"
    assert told in notes


def test_rows_that_were_logged_beside_a_text_that_is_no_table_both_go_down(
    database: Database,
) -> None:
    upgrade(database.url)
    logged_live(database)
    database.run("UPDATE training_runs SET history_layout = '={broken'")

    downgrade(database.url, "v2.1", backup=False)

    found = json.loads(histories(database)["live"] or "")
    assert found["history_json"] == "{broken"
    assert len(found["loss"]) == 12


def test_rows_go_down_as_rows_where_they_came_as_rows(v21: Database) -> None:
    insert(v21, {"live": '[{"loss": 1}, {}, {}]'})
    upgrade(v21.url, backup=False)
    block = segment_blocks.pack({1: segments.column([0.5])}, 0)
    v21.insert("run_history_tails", run_number=1, writer=7, first_row=0, last_row=0, block=block)

    downgrade(v21.url, "v2.1", backup=False)

    assert histories(v21) == {"live": '[{"loss":1},{},{},{"loss":0.5}]'}


def test_each_metric_is_summed_up_over_its_steps(v21: Database) -> None:
    insert(v21, {"a": json.dumps({
        "loss": [3, 1.5, None, math.nan, 1.5, math.inf],
        "_step": [10, 30, 5, 5, 20.7, None],
        "note": ["x", True, None, 2, None, None],
        "only": ["text"],
    })})  # fmt: skip

    upgrade(v21.url, backup=False)

    rows = v21.rows("SELECT * FROM run_metrics JOIN metric_names ON id = metric_id")
    found = {row.pop("name"): row for row in rows}
    loss = found["loss"]
    assert (loss["count"], loss["non_finite_count"], loss["other_count"]) == (5, 2, 0)
    # The step of the last row is its number, 5, which another row has too: the later counts.
    assert (float(loss["first"]), loss["first_step"]) == (math.inf, 5)
    assert (loss["last"], loss["last_step"]) == (1.5, 30)
    assert (loss["min"], loss["min_step"], loss["max"], loss["max_step"]) == (1.5, 20, 3, 10)
    assert loss["mean"] == 2
    note = found["note"]
    assert (note["count"], note["other_count"], note["first"], note["last"]) == (2, 1, 2, 1)
    only = found["only"]
    assert (only["count"], only["other_count"], only["last"], only["mean"]) == (0, 1, None, None)


def test_the_key_metrics_are_filled_and_those_that_were_there_stay(v21: Database) -> None:
    history = {
        "train/loss": [0.5, 0.25, None],
        "grad_norm": [1, math.nan, None],
        "lr": [None, None, "none"],
        "objectives/QED_maximize/raw_mean": [0.5, None, math.nan],
        "objectives/QED_maximize/raw_std": [1, 1, 1],
        "_timestamp": [1714979289.25, "no time", 1714979290],
        "global_step": [7, 8, 9],
    }
    insert(v21, {"a": json.dumps(history), "b": json.dumps(history)})
    v21.insert("run_history_key_metrics", run_id="b", step=1, loss=9.0)

    upgrade(v21.url, backup=False)

    rows = v21.rows(
        "SELECT run_id, step, loss, grad_norm, learning_rate, objective_scores_json, "
        "CAST(timestamp AS text) AS at FROM run_history_key_metrics ORDER BY run_id, step"
    )
    assert [str(row.pop("at"))[:4] for row in rows] == ["2024", "None", "2024", "None"]
    assert str(rows[1].pop("grad_norm")).lower() == "nan"
    assert [list(row.values()) for row in rows] == [
        ["a", 7, 0.5, 1.0, None, '{"QED":0.5}'],
        ["a", 8, 0.25, None, None],
        ["a", 9, None, None, None, '{"QED":{"$float":"NaN"}}'],
        ["b", 1, 9.0, None, None, None],
    ]


@pytest.mark.parametrize(("rows", "kept"), [(1000, 1000), (1001, 501), (4096, 512), (3999, 1000)])
def test_of_a_long_history_every_so_manieth_row_is_a_key_metric(
    tmp_path: Any, rows: int, kept: int
) -> None:
    from tests.migrations.conftest import Database

    database = Database(f"sqlite:///{tmp_path}/old.db")
    upgrade(database.url, "v2.1")
    insert(database, {"a": json.dumps({"loss": list(range(rows))})})

    upgrade(database.url, backup=False)

    assert database.value("SELECT count(*) FROM run_history_key_metrics") == kept
    database.close()


@torture.on_one_backend
@pytest.mark.parametrize("form", ["columns", "rows"])
def test_a_history_that_is_not_held_whole_moves_as_a_short_one_does(
    v21: Database, form: str
) -> None:
    count = 96_000  # of which more than 400,000 cells are no longer held
    step = [index * 2 for index in range(count)]
    loss = [None if index % 7 == 0 else math.nan if index % 1001 == 0 else index / 3
            for index in step]  # fmt: skip
    note = [f"ä {index}" if index % 50_000 == 0 else None for index in range(count)]
    columns = {"loss": loss, "note": note, "_step": step, "late": [1.5] * 50_000,
               "more": [float(index) for index in range(count)],
               "even": [float(index % 5) for index in range(count)]}  # fmt: skip
    document: Any = columns
    if form == "rows":
        document = [
            {name: cells[row] for name, cells in columns.items()
             if row < len(cells) and cells[row] is not None}
            for row in range(count)
        ]  # fmt: skip
    text = json.dumps(document)
    insert(v21, {"long": text, "short": '{"loss": [1]}', "broken": text[:-1] + "?"})

    notes = upgrade(v21.url, backup=False).notes

    assert "history_json: 1 that are no table of metrics, kept as they are" in notes
    [found] = v21.rows(
        "SELECT * FROM run_metrics JOIN metric_names ON id = metric_id WHERE name = 'loss' "
        "AND run_number = (SELECT number FROM training_runs WHERE run_id = 'long')"
    )
    finite = [value for value in loss if value is not None and value == value]
    assert found["count"] == len([value for value in loss if value is not None])
    assert (found["max"], found["max_step"]) == (max(finite), step[loss.index(max(finite))])
    assert found["mean"] == pytest.approx(sum(finite) / len(finite))
    downgrade(v21.url, "v2.1", backup=False)
    before = {"long": text, "broken": text[:-1] + "?"}
    assert lost(before, histories(v21)) == {}
