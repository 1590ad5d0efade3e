"""What v2 reads out of the rows of v1."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest

from training_db.db.migrations import upgrade
from training_db.db.scripts import load_script

if TYPE_CHECKING:
    from tests.migrations.conftest import Database


def upgraded(
    v1: Database, config: Any = None, summary: Any = None, **values: Any
) -> dict[str, Any]:
    """Upgrade a run with this config and summary, given as values or as text, and read it back."""
    texts = {"config_json": config, "final_metrics_json": summary}
    for name, document in texts.items():
        values[name] = document if isinstance(document, str | None) else json.dumps(document)
    v1.insert("training_runs", run_id="r", **values)
    upgrade(v1.url)
    [row] = v1.rows("SELECT * FROM training_runs")
    assert {name: row[name] for name in texts} == {name: values[name] for name in texts}
    return row


COLUMNS: list[tuple[dict[str, Any], str, Any]] = [
    ({"max_steps": 5}, "max_steps", 5),
    ({"training.max_steps": 5}, "max_steps", 5),
    ({"training": {"max_steps": 5}}, "max_steps", 5),
    ({"training": {"max_steps": {"value": 5}}}, "max_steps", 5),
    ({"max_steps": {"desc": None, "value": 5}}, "max_steps", 5),
    ({"trainer": {"total_steps": "500"}}, "max_steps", 500),
    ({"max_steps": 1e3}, "max_steps", 1000),
    ({"optimizer": {"lr": "3e-4"}}, "learning_rate", 3e-4),
    ({"lr": 1, "learning_rate": 2}, "learning_rate", 2.0),
    ({"gradient": {"method": "mgda"}}, "gradient_method", "mgda"),
    ({"moo_method": "pcgrad"}, "gradient_method", "pcgrad"),
    ({"trainer": {"gradient_clip_val": 0.5}}, "max_grad_norm", 0.5),
    ({"accumulate_grad_batches": 4}, "gradient_accumulation_steps", 4),
    ({"train_batch_size": 32}, "batch_size", 32),
    ({"world_size": 8}, "num_gpus", 8),
    ({"precision": "bf16-mixed"}, "mixed_precision", True),
    ({"mixed_precision": "no"}, "mixed_precision", False),
    ({"precision": 32}, "mixed_precision", False),
    ({"model": {"gradient_checkpointing": True}}, "gradient_checkpointing", True),
    ({"enable_moving_targets": 0}, "enable_moving_targets", False),
    ({"clustering": {"n_clusters": 7}}, "n_clusters", 7),
    ({"return_groups": "true"}, "return_groups", True),
    ({"objectives": ["a", "b"]}, "num_objectives", 2),
    ({"scaffolds": ["a", "b", "c"]}, "num_scaffolds", 3),
    ({"batch_size": "auto"}, "batch_size", None),
    ({"max_steps": 2**64}, "max_steps", None),
    ({"max_steps": 1.5}, "max_steps", None),
    ({"max_steps": True}, "max_steps", None),
]


def test_columns_are_found_in_the_config(v1: Database) -> None:
    for number, (config, _, _) in enumerate(COLUMNS):
        v1.insert("training_runs", run_id=f"r{number}", config_json=json.dumps(config))

    upgrade(v1.url)

    found = {row["run_id"]: row for row in v1.rows("SELECT * FROM training_runs")}
    for number, (config, column, value) in enumerate(COLUMNS):
        assert found[f"r{number}"][column] == value, config
        assert found[f"r{number}"]["config_json"] == json.dumps(config)


def test_the_summary_fills_what_a_run_ended_with(v1: Database) -> None:
    row = upgraded(
        v1, None, {"train/loss": 0.5, "grad_norm": 2, "lr": 1e-5, "_step": 99, "_runtime": 6.7}
    )

    assert row["final_loss"] == 0.5
    assert row["final_grad_norm"] == 2.0
    assert row["final_learning_rate"] == 1e-5
    assert row["total_training_steps"] == 99
    assert row["duration_seconds"] == 7


def test_what_a_row_has_already_wins_over_its_config(v1: Database) -> None:
    assert upgraded(v1, {"batch_size": 2, "lr": 3}, batch_size=16)["batch_size"] == 16


def test_nan_in_a_summary_stays_nan(v1: Database) -> None:
    row = upgraded(v1, None, '{"loss": NaN, "grad_norm": -Infinity, "_step": Infinity}')

    assert math.isnan(float(row["final_loss"]))
    assert row["final_grad_norm"] == -math.inf
    assert row["total_training_steps"] is None


def test_tagged_numbers_of_our_own_are_read_as_numbers(v1: Database) -> None:
    assert math.isnan(float(upgraded(v1, None, {"loss": {"$float": "NaN"}})["final_loss"]))


@pytest.mark.parametrize(
    "declared",
    [
        [{"name": "QED", "weight": 2, "alias": "q", "uniprot": "P1", "direction": "maximize"}],
        [{"objective_name": "QED", "weight": "2", "objective_alias": "q", "uniprot_id": "P1",
          "direction": "maximize"}],
        {"QED": {"weight": 2, "alias": "q", "uniprot": "P1", "direction": "maximize"}},
        {"value": {"QED_maximize": {"weight": 2, "alias": "q", "uniprot": "P1"}}},
    ],
)  # fmt: skip
def test_objectives_are_found_in_each_form_of_config(v1: Database, declared: Any) -> None:
    upgraded(v1, {"objectives": declared})

    [objective] = v1.rows("SELECT * FROM run_objectives")
    assert objective | {"id": 1, "run_id": "r"} == {
        "id": 1, "run_id": "r", "objective_name": "QED", "objective_alias": "q", "uniprot": "P1",
        "weight": 2.0, "direction": "maximize", "raw_mean": None, "normalized_mean": None,
        "raw_std": None, "normalized_std": None,
    }  # fmt: skip


def test_config_and_summary_meet_in_one_objective(v1: Database) -> None:
    upgraded(
        v1,
        {"objectives": ["risk", "minimize_me_minimize", 7, None, {"weight": 1}]},
        {
            "objectives/risk_minimize/raw_mean": 0.25,
            "objectives/risk_minimize/unknown": 1,
            "objectives/minimize_me_minimize/raw_std": "high",
            "objectives": {"a_maximize_b_maximize": {"normalized_mean": 1, "normalized_std": 2}},
        },
    )

    found = v1.rows("SELECT * FROM run_objectives ORDER BY objective_name")
    assert [(row["objective_name"], row["direction"], row["raw_mean"]) for row in found] == [
        ("a_maximize_b", "maximize", None),
        ("minimize_me", "minimize", None),
        ("risk", "minimize", 0.25),
    ]
    assert (found[0]["normalized_mean"], found[0]["normalized_std"]) == (1.0, 2.0)


def test_odd_json_is_left_as_it_is_and_counted(v1: Database) -> None:
    odd = {
        "missing": None, "broken": "{broken", "empty": "", "list": "[1]", "scalar": '"x"',
        "nan": '{"a": NaN}', "wrong": '{"batch_size": "auto", "lr": []}',
        "deep": "[" * 5000, "long": '{"max_steps": ' + "9" * 5000 + "}",
    }  # fmt: skip
    for name, text in odd.items():
        v1.insert("training_runs", run_id=name, config_json=text, final_metrics_json="{}")

    notes = upgrade(v1.url).notes

    assert (
        "config_json: 4 malformed, 1 missing, 2 not an object, 1 of the wrong type for batch_size, "
        "1 of the wrong type for learning_rate, 1 with NaN or Infinity"
    ) in notes
    kept = v1.rows("SELECT run_id, config_json FROM training_runs")
    assert {row["run_id"]: row["config_json"] for row in kept} == odd


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2024-05-06T07:08:09Z", "2024-05-06T07:08:09.000000Z"),
        ("2024-05-06 07:08:09", "2024-05-06T07:08:09.000000Z"),
        ("2024-05-06 07:08:09.5", "2024-05-06T07:08:09.500000Z"),
        ("2024-05-06T07:08:09.123456+02:00", "2024-05-06T05:08:09.123456Z"),
        ("2024-05-06 07:08:09 UTC", "2024-05-06T07:08:09.000000Z"),
        ("2024-05-06", "2024-05-06T00:00:00.000000Z"),
        ("20240506", "2024-05-06T00:00:00.000000Z"),
        ("1714979289", "2024-05-06T07:08:09.000000Z"),
        ("1714979289.25", "2024-05-06T07:08:09.250000Z"),
        ("1714979289000", "2024-05-06T07:08:09.000000Z"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_times_of_old_sqlite_rows_come_to_one_form(tmp_path, written: str, read: str) -> None:  # type: ignore[no-untyped-def]
    from tests.migrations.conftest import Database

    database = Database(f"sqlite:///{tmp_path}/old.db")
    upgrade(database.url, "v1")
    database.insert("training_runs", run_id="r", created_at=written)

    notes = upgrade(database.url).notes

    assert database.value("SELECT created_at FROM training_runs") == read
    unreadable = "created_at: 1 that cannot be read as a time, left as it is"
    assert (unreadable in notes) == (written == read)
    database.close()


def test_runs_are_read_in_batches_that_together_are_all_of_them(v1: Database) -> None:
    total = load_script("backfill_v2").ROWS * 2 + 7
    rows = [{"id": f"run {index}", "config": f'{{"max_steps": {index}}}'} for index in range(total)]
    v1.run("INSERT INTO training_runs (run_id, config_json) VALUES (:id, :config)", *rows)
    steps: list[tuple[int, int]] = []

    upgrade(v1.url, progress=lambda _label, done, there_are: steps.append((done, there_are)))

    assert v1.value("SELECT count(DISTINCT max_steps) FROM training_runs") == total
    assert [step for step in steps if step[1] == total][-1] == (total, total)
    assert len([step for step in steps if step[1] == total]) == 3
