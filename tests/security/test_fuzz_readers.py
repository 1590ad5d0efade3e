"""Readers, fuzzed by what each input makes them reach; skipped where atheris has no wheel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.capture import logs
from tests.security.fuzzers import SEPARATOR
from tests.torture import rounds

pytest.importorskip("atheris")

SECONDS = rounds(3, under_torture=150)
ROOT = Path(__file__).resolve().parents[2]
RECORDS = [
    logs.header("0.19.1"),
    logs.run(config={"lr": 0.1, "objectives": ["QED"]}, tags=["a"], cli_version="0.19.1"),
    logs.history({"loss": 0.5, ("a", "b"): 1}, 1),
    logs.history({"loss": "NaN", "image": {"_type": "image-file", "path": "x"}}, 2, nested=False),
    logs.summary({"loss": 0.1}),
    logs.config({"x": {"y": 1}}, removed=["lr"]),
    logs.metric("loss", min=True),
]


def fuzz(program: str, place: Path, seeds: Path) -> str:
    """Let a fuzzer run, and return what it says; it fails with the input that it failed on."""
    done = subprocess.run(
        [
            sys.executable, "-m", f"tests.security.fuzzers.{program}", str(place),
            f"-max_total_time={SECONDS}", "-seed=7", f"-artifact_prefix={place}.", str(seeds),
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=SECONDS + 120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    assert "DONE" in done.stderr
    return done.stderr


@pytest.mark.faults
def test_any_bytes_are_a_wandb_log_or_an_error_of_this_library(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    whole = logs.write_log(tmp_path / "whole.wandb", RECORDS).read_bytes()
    (seeds / "file").write_bytes(b"\x00" + whole)
    records = SEPARATOR.join(one.SerializeToString() for one in RECORDS)
    (seeds / "records").write_bytes(b"\xff" + records)

    fuzz("wandb_logs", tmp_path / "fuzzed.wandb", seeds)


@pytest.mark.faults
def test_any_text_is_a_filter_that_is_answered_or_an_error_of_this_library(tmp_path: Path) -> None:
    seeds = tmp_path / "seeds"
    seeds.mkdir()

    fuzz("filters", tmp_path / "fuzzed.db", seeds)
