"""What importing the package loads, each time in a Python of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

EXTRAS = {
    "numpy", "pandas", "wandb", "boto3", "rdkit", "scipy", "sklearn", "ruptures", "moocore",
    "plotly", "plotext", "jinja2", "fastapi", "pyarrow",
}  # fmt: skip
HEAVY = EXTRAS | {
    "sqlalchemy", "pydantic", "pydantic_settings", "alembic", "typer", "rich", "lark", "psycopg",
    "orjson", "platformdirs",
}  # fmt: skip


def packages_after(code: str) -> set[str]:
    """Run Python code, and return the top-level packages that are loaded at its end."""
    shown = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{shown}"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_none_of_what_it_depends_on() -> None:
    loaded = packages_after("import training_db")
    assert "training_db" in loaded
    assert not loaded & HEAVY


def test_the_object_for_sqlite_loads_what_it_runs_on_and_no_more() -> None:
    loaded = packages_after("import training_db; training_db.TrainingDB('runs.db')")
    assert "sqlalchemy" in loaded
    assert not loaded & (EXTRAS | {"pydantic", "pydantic_settings", "alembic", "psycopg", "typer"})


def test_help_of_the_command_line_loads_no_database() -> None:
    code = (
        "import sys; from training_db.cli import main; sys.argv = ['training-db', '--help']\n"
        "import contextlib, io\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main()"
    )
    assert not packages_after(code) & (EXTRAS | {"sqlalchemy", "pydantic", "alembic", "psycopg"})


@pytest.mark.parametrize("function", ["get_run", "query_runs"])
def test_the_functions_load_no_extra(function: str) -> None:
    assert not packages_after(f"from training_db import {function}") & EXTRAS
