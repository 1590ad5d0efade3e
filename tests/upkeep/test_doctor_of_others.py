"""The doctor, asked by somebody who may not read everything."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# Everything is loaded before the rights go: the interpreter may be the administrator's own.
SCRIPT = """
import os, sys
from training_db.upkeep.doctor import examine
ready, *places = sys.argv[1:]
examine(ready, is_thorough=True)
examine(ready + ".missing")
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for place in places:
    for one in examine(place + "/runs.db", spools=place + "/spool"):
        if one.severity.needs_care:
            print(place, one.check, one.what, one.mend, sep="|")
"""
PLACES = ("unreadable", "unwritable", "spools")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("only the administrator can be somebody else")
    # Not below pytest's folder, which nobody else may enter.
    with tempfile.TemporaryDirectory(prefix="training-db-doctor-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def told(folder: Path, migrated_file: Path) -> dict[str, list[list[str]]]:
    """What the doctor says of each place: all in one process, whose start takes longest."""
    for name in PLACES:
        (folder / name).mkdir()
        file = folder / name / "runs.db"
        file.write_bytes(migrated_file.read_bytes())
        file.chmod(0o644 if name == "unwritable" else 0o600)
    (folder / "spools" / "spool").mkdir(mode=0o700)
    for one in (folder / "spools", folder / "spools" / "runs.db"):
        os.chown(one, 65534, 65534)
    words = [sys.executable, "-c", SCRIPT, migrated_file, *(folder / name for name in PLACES)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, list[list[str]]] = {name: [] for name in PLACES}
    for line in done.stdout.splitlines():
        place, *rest = line.split("|")
        found[Path(place).name].append(rest)
    return found


def test_a_file_that_cannot_be_read_is_a_finding(
    folder: Path, told: dict[str, list[list[str]]]
) -> None:
    ((check, what, mend),) = told["unreadable"]
    assert (check, mend) == ("place", f"sudo chown 65534 {folder / 'unreadable' / 'runs.db'}")
    assert "Permission denied" in what


def test_a_folder_that_cannot_be_written_to_is_a_finding(
    folder: Path, told: dict[str, list[list[str]]]
) -> None:
    ((check, what, mend),) = told["unwritable"]
    place = folder / "unwritable"
    assert (check, mend) == ("place", f"sudo chown 65534 {place} {place / 'runs.db'}")
    assert "cannot be written to" in what


def test_spools_that_cannot_be_read_are_a_finding(
    folder: Path, told: dict[str, list[list[str]]]
) -> None:
    ((check, _, mend),) = told["spools"]
    assert (check, mend) == ("spools", f"sudo chown -R 65534 {folder / 'spools' / 'spool'}")
