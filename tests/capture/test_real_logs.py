"""Logs of strangers' trainings, by clients of five years: exact counts, values and facts.

They are no part of this repository; what is in them is written down beside them.
"""

from __future__ import annotations

import json
import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.capture.oracle import count_of, differences, read, told
from tests.capture.stored import cells_of_one_writer, document, everything, imported
from training_db.capture.offline.log import WandbLog

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB


@dataclass(frozen=True)
class Real:
    """What is known of a log."""

    folder: str
    client: str
    rows: int
    keys: int
    values: int
    numbers: int
    nans: int
    total: float
    steps: tuple[int, int]
    config_keys: int
    exit_code: int | None
    runtime: int | None
    has_summary: bool = True
    is_cut: bool = False

    def log(self, real_logs: Path) -> Path:
        (path,) = (real_logs / self.folder).glob("*/*.wandb")
        return path


REAL = [
    Real("kjappelbaum__pyprocessta", "0.10.28", 2, 5, 8, 2, 0, 22.07014638049189, (0, 1), 9, 0, 0),
    Real("ARM-software__keyword-transformer", "0.12.15", 862, 8, 6893, 4307, 0, 777777.2317200688,
         (0, 861), 1, None, None, has_summary=False, is_cut=True),
    Real("LucasAlegre__morl-baselines", "0.12.21", 131, 14, 1694, 1300, 0, 80056695.78418875,
         (0, 130), 26, 0, 1339),
    Real("AbhishekKarmakar5__Feed-forward-neural-network-implementation-from-scratch", "0.16.3",
         23, 11, 164, 84, 27, 75.57466540245564, (0, 22), 0, 255, 25),
    Real("RuoyiGAO__3D_molecular_representation", "0.18.3", 6, 16, 49, 31, 0, 1027784736002510.4,
         (0, 5), 181, 0, 100),
    Real("siri-rouser__TAU-Agent", "0.28.0", 4, 8, 32, 20, 0, 30.02263723801708, (0, 3), 207, 255,
         25, has_summary=False),
]  # fmt: skip

each = pytest.mark.parametrize("real", REAL, ids=lambda real: real.client)


@each
def test_every_row_key_and_value_is_there(real_logs: Path, real: Real) -> None:
    log = WandbLog(real.log(real_logs))

    found = read(log)

    assert (log.rows, len(found)) == (real.rows, real.keys)
    assert sum(map(len, found.values())) == real.values
    assert log.counts == count_of(found)
    assert differences(told(real.log(real_logs)).cells, found) == []


@each
def test_the_numbers_add_up(real_logs: Path, real: Real) -> None:
    found = read(WandbLog(real.log(real_logs)))

    numbers = [
        value
        for name, cells in found.items()
        if not name.startswith("_")
        for value in cells.values()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    ]
    assert len(numbers) == real.numbers
    assert sum(map(math.isnan, numbers)) == real.nans
    assert math.fsum(filter(math.isfinite, numbers)) == pytest.approx(real.total, rel=1e-12)


@each
def test_every_row_has_its_step(real_logs: Path, real: Real) -> None:
    steps = read(WandbLog(real.log(real_logs)))["_step"]

    assert len(steps) == real.rows
    assert (min(steps.values()), max(steps.values())) == real.steps


@each
def test_the_facts_of_the_run_are_known(real_logs: Path, real: Real) -> None:
    path = real.log(real_logs)
    log = WandbLog(path)
    read(log)
    run = log.run

    assert run.wandb_run_id == path.stem.removeprefix("run-")
    assert len(run.config) == real.config_keys
    assert (run.exit_code, run.status) == (
        real.exit_code,
        {None: "crashed", 0: "completed"}.get(real.exit_code, "failed"),
    )
    assert run.started_at is not None
    if real.runtime:
        assert run.runtime_seconds == real.runtime
    else:  # no exit record, or one by a client that wrote no runtime into it
        assert run.runtime_seconds is not None
        assert run.runtime_seconds >= run.summary["_runtime"]
    assert real.client in json.dumps(run.details)
    assert bool(log.damage) == real.is_cut


@each
def test_the_summary_is_what_wandb_wrote_beside_the_log(real_logs: Path, real: Real) -> None:
    path = real.log(real_logs)
    log = WandbLog(path)
    found = read(log)

    if real.has_summary:
        expected = json.loads((path.parent / "files" / "wandb-summary.json").read_text())
        shown = log.run.summary
        expected.pop("_wandb", None)
        assert differences(expected, {k: v for k, v in shown.items() if k != "_wandb"}) == []
    elif real.is_cut:
        last = {name: cells[max(cells)] for name, cells in found.items()}
        assert differences(last, log.run.summary) == []
    else:  # nothing stands beside it; W&B's records came after each row
        last = {name: cells[max(cells)] for name, cells in found.items() if name != "_runtime"}
        assert differences(last, {k: v for k, v in log.run.summary.items() if k in last}) == []


@each
def test_the_config_is_the_one_beside_the_log(real_logs: Path, real: Real) -> None:
    yaml = pytest.importorskip("yaml")
    path = real.log(real_logs)
    beside = path.parent / "files" / "config.yaml"
    if not beside.exists():
        pytest.skip("its author committed no config.yaml")
    log = WandbLog(path)
    read(log)
    written = yaml.safe_load(beside.read_text())
    expected: dict[str, Any] = {
        key: one["value"] for key, one in written.items() if key not in ("_wandb", "wandb_version")
    }

    for key, value in expected.items():
        found = log.run.config[key]
        if isinstance(value, str) and isinstance(found, float):
            assert float(value) == found, "YAML 1.1 takes 1e-08 for a text"
        else:
            assert differences({key: value}, {key: found}) == []
    missing = {key: log.run.config[key] for key in log.run.config if key not in expected}
    assert all(value == {} for value in missing.values()), "config.yaml drops empty dicts only"


@each
def test_each_cut_at_a_block_keeps_what_stands_before_it(
    real_logs: Path, real: Real, tmp_path: Path
) -> None:
    data = real.log(real_logs).read_bytes()
    whole = read(WandbLog(real.log(real_logs)))
    copy = tmp_path / "run-x.wandb"

    for length in {*range(0, len(data), 16_384), len(data) // 3, len(data) - 1, len(data) - 20}:
        copy.write_bytes(data[:length])
        log = WandbLog(copy)
        found = read(log)
        expected = {
            name: some
            for name, cells in whole.items()
            if (some := {row: value for row, value in cells.items() if row < log.rows})
        }
        assert differences(expected, found) == [], f"cut at {length}"


@each
def test_a_flipped_bit_costs_at_most_three_rows(
    real_logs: Path, real: Real, tmp_path: Path
) -> None:
    data = real.log(real_logs).read_bytes()
    whole = rows_of(WandbLog(real.log(real_logs)))
    chance = random.Random(real.client)  # noqa: S311 - no secrets
    copy = tmp_path / "run-x.wandb"

    for _ in range(12):
        changed = bytearray(data)
        changed[chance.randrange(7, len(data))] ^= 1 << chance.randrange(8)
        copy.write_bytes(changed)
        log = WandbLog(copy)
        rest = iter(whole)
        kept = rows_of(log)
        assert all(one in rest for one in kept), "a row that was not written"
        assert len(whole) - len(kept) <= 3
        assert log.damage


def rows_of(log: WandbLog) -> list[str]:
    """Return each row as text, in which NaN is NaN."""
    rows: dict[int, dict[str, Any]] = {}
    for name, cells in read(log).items():
        for row, value in cells.items():
            rows.setdefault(row, {})[name] = value
    return [repr(sorted(rows[row].items())) for row in sorted(rows)]


def test_all_of_them_are_imported_whole(real_logs: Path, db: TrainingDB) -> None:
    outcomes = {outcome.run_id: outcome for outcome in imported(db, real_logs)}
    before = everything(db)

    assert len(outcomes) == len(REAL)
    for real in REAL:
        path = real.log(real_logs)
        run_id = path.stem.removeprefix("run-")
        outcome = outcomes[run_id]
        assert (outcome.rows, outcome.keys, outcome.values) == (real.rows, real.keys, real.values)
        assert bool(outcome.damage) == real.is_cut
        run = db.runs.get(run_id)
        assert run["status"] == {None: "crashed", 0: "completed"}.get(real.exit_code, "failed")
        assert len(document(run, "config_json")) == real.config_keys
        assert differences(told(path).cells, cells_of_one_writer(db, run_id)) == []
        assert real.client in repr(db.events.list(run_id, kind="import"))
    imported(db, real_logs)
    assert everything(db) == before
