"""Many runs in bounded memory, and the wheel far from the checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from training_db.db.migrations import current

if TYPE_CHECKING:
    from tests.migrations.conftest import Database

MEASURED = """
import resource, sys
from training_db.db.migrations import upgrade
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
upgrade(sys.argv[1], backup=False)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
def test_the_memory_of_an_upgrade_does_not_grow_with_the_runs(v1: Database) -> None:
    config = json.dumps({f"key {index}": "x" * 80 for index in range(80)})
    summary = {f"objectives/o{index}_maximize/raw_mean": 0.5 for index in range(10)}
    for start in range(0, 20_000, 2_000):
        rows = [
            {"id": f"run {index}", "config": config, "summary": json.dumps(summary)}
            for index in range(start, start + 2_000)
        ]
        v1.run(
            "INSERT INTO training_runs (run_id, config_json, final_metrics_json) "
            "VALUES (:id, :config, :summary)",
            *rows,
        )

    grown = subprocess.run(
        [sys.executable, "-c", MEASURED, v1.url], check=True, capture_output=True, text=True
    ).stdout

    assert v1.value("SELECT count(*) FROM run_objectives") == 200_000
    # 8 KB of JSON a run: all of it would be 160 MB, and more once it is parsed. A part of the
    # growth is SQLite's page cache of 64 MB, and Alembic itself.
    assert int(grown) < 150


def test_the_wheel_upgrades_a_database_far_from_the_checkout(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(tmp_path)]
    subprocess.run([*build, str(root)], check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    variables = {"base": str(home), "platbase": str(home)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=variables))
    # The dependencies come from this environment, by a path that leaves its training_db out.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*pip, "--target", str(packages), str(wheel)], check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    python = Path(sysconfig.get_path("scripts", "venv", vars=variables)) / "python"
    script = (
        "import training_db.db.scripts as scripts; print(scripts.scripts_folder()); "
        "from training_db.cli import main; main()"
    )

    done = subprocess.run(
        [str(python), "-c", script, "upgrade", "--url", "runs.db"],
        cwd=elsewhere, capture_output=True, text=True, check=False,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(packages / "training_db" / "_alembic" / "alembic")
    assert current(elsewhere / "runs.db") == "v2.1"
