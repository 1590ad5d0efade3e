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

from tests import torture
from training_db.db.migrations import current, upgrade

if TYPE_CHECKING:
    from tests.migrations.conftest import Database

# Not ru_maxrss where there is something else: on Linux a process begins with that of its parent.
MEASURED = """
import pathlib, resource, sys
from training_db.db.migrations import upgrade

def peak():
    status = pathlib.Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) // 1024
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit

before = peak()
upgrade(sys.argv[1], backup=False)
print(peak() - before)
"""


@torture.on_one_backend
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
def test_the_memory_of_an_upgrade_does_not_grow_with_the_runs(v1: Database) -> None:
    config = json.dumps({f"key {index}": "x" * 80 for index in range(160)})
    summary = {f"objectives/o{index}_maximize/raw_mean": 0.5 for index in range(10)}
    for start in range(0, 10_000, 1_000):
        rows = [
            {"id": f"run {index}", "config": config, "summary": json.dumps(summary)}
            for index in range(start, start + 1_000)
        ]
        v1.run(
            "INSERT INTO training_runs (run_id, config_json, final_metrics_json) "
            "VALUES (:id, :config, :summary)",
            *rows,
        )

    grown = subprocess.run(
        [sys.executable, "-c", MEASURED, v1.url], check=True, capture_output=True, text=True
    ).stdout

    assert v1.value("SELECT count(*) FROM run_objectives") == 100_000
    # 16 KB of JSON a run: all of it would be 160 MB, and more once it is parsed. A part of the
    # growth is SQLite's page cache of 64 MB, and Alembic itself.
    assert int(grown) < 180


@torture.on_one_backend
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no getrusage")
def test_the_memory_of_an_upgrade_does_not_grow_with_the_length_of_a_history(
    database: Database,
) -> None:
    # 149 metrics of 50,000 points on SQLite: a text of 145 MB, and 250 MB once it is parsed. A
    # fifth of that on PostgreSQL, whose server would take longer than the rest of the tests.
    points = 50_000 if database.backend == "sqlite" else 10_000
    upgrade(database.url, "v2.1")
    values = [(index * 7919 % 1_000_003) / 1_000_003 for index in range(points)]
    cells = json.dumps(values)
    members = ",".join(f'"metric {index}":{cells}' for index in range(149))
    database.insert("training_runs", run_id="long", history_json=f"{{{members}}}")

    grown = subprocess.run(
        [sys.executable, "-c", MEASURED, database.url], check=True, capture_output=True, text=True
    ).stdout

    assert int(grown) < 300  # a text and a half; and 50 to begin with
    rows = database.rows('SELECT "count", "last" FROM run_metrics')
    assert rows == [{"count": points, "last": values[-1]}] * 149
    segments = database.value("SELECT count(*) FROM run_history_segments")
    assert segments == 149 * -(-points // 4096)


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
    assert current(elsewhere / "runs.db") == "v3"
