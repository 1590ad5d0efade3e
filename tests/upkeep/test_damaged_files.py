"""Damaged pages: the doctor names them, and everything that can be read is saved."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.torture import rounds
from tests.upkeep.patients import PAGE, care, file_of, fill, overwrite, page_of, root_page, run
from training_db import TrainingDB
from training_db.db.engine.damage import read_only
from training_db.db.engine.salvage import salvage
from training_db.errors import Conflict, DatabaseUnavailable, InvalidValue, SchemaMissing
from training_db.upkeep.rescue import rescue

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.terminal import Answer

    Cli = Callable[..., Answer]

RUNS = 12
PIECES = ("run_id", "status", "config_json", "final_metrics_json", "history_json")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, migrated_file: Path) -> Path:
    """A database with rows in every table, all of it in one file."""
    path = tmp_path_factory.mktemp("sound") / "runs.db"
    shutil.copy(migrated_file, path)
    with TrainingDB(path) as db:
        fill(db, RUNS)
    return file_of(f"sqlite:///{path}")


@pytest.fixture
def file(sound: Path, tmp_path: Path) -> Path:
    """A copy of it, to damage."""
    path = tmp_path / "runs.db"
    shutil.copy(sound, path)
    path.chmod(0o600)
    return path


def pieces(path: Path) -> dict[str, list[object]]:
    with TrainingDB(path) as db:
        return {
            run["run_id"]: [
                *(run[name] for name in PIECES),
                db.objectives.of_run(run["run_id"]),
                db.tags.of(run["run_id"]),
                db.metrics.of(run["run_id"]),
            ]
            for run in db.runs.query(limit=None)
        }  # fmt: skip


def noise(seed: int) -> bytes:
    return random.Random(seed).randbytes(PAGE)  # noqa: S311 - no secret


def pages_of_configs(path: Path) -> list[int]:
    """Return the pages in the middle of a config: they say where it goes on."""
    texts = [str(number).encode() * 3000 for number in range(2, 10)]
    return [
        number
        for number in range(3, path.stat().st_size // PAGE)
        if any(text in (page := page_of(path, number)) for text in texts) and any(page[:4])
    ]


def leaves_of(path: Path, table: str) -> list[int]:
    """Return the pages with rows of a table that has more than one of them."""
    root = page_of(path, root_page(path, table))
    assert root[0] == 5, "the table has one page only"
    count = int.from_bytes(root[3:5])
    cells = [int.from_bytes(root[12 + 2 * n : 14 + 2 * n]) for n in range(count)]
    return [int.from_bytes(root[cell : cell + 4]) for cell in cells]


def test_a_damaged_page_is_named_and_all_else_is_saved(file: Path) -> None:
    before = pieces(file)
    page = leaves_of(file, "training_runs")[1]
    overwrite(file, page, noise(1))
    (found,) = [one for one in care(str(file)) if one.check == "integrity"]
    assert f"training_runs is damaged, on page {page}: not all of its rows" in found.what
    rescued = file.with_name("runs-rescued.db")
    assert found.mend == f"training-db doctor --rescue {rescued} --url {file}"
    printed = run(found.mend)
    assert care(str(rescued), is_thorough=True) == []
    assert rescued.stat().st_mode & 0o077 == 0
    after = pieces(rescued)
    assert after.keys() == before.keys()
    hurt = [run_id for run_id in before if after[run_id] != before[run_id]]
    assert 1 <= len(hurt) <= 3
    with TrainingDB(rescued) as db:
        for run_id in hurt:
            # The page had the row; indexes still knew who it was, and its other tables are there.
            assert after[run_id][5:] == before[run_id][5:]
            assert after[run_id][4] == before[run_id][4]
            assert "rescue" in {event["kind"] for event in db.events.list(run_id)}
            assert run_id in printed
        assert db.runs.insert("next") == "next"
        assert db.runs.number("next") == RUNS + 1


def test_of_a_long_text_that_is_lost_the_rest_of_the_row_is_kept(file: Path) -> None:
    """A config that is longer than a page goes on on other pages: garbage there is no fault of
    SQLite's structure, but a chain that leads nowhere is."""  # fmt: skip
    before = pieces(file)
    page = pages_of_configs(file)[0]
    overwrite(file, page, (2**31 - 1).to_bytes(4) + page_of(file, page)[4:])
    assert care(str(file))[0].check == "integrity"
    saved = rescue(file, file.with_name("new.db"))
    after = pieces(saved.file)
    (hurt,) = [run_id for run_id in before if after[run_id] != before[run_id]]
    assert list(saved.lost_by_run) == [hurt]
    assert after[hurt][0:2] == before[hurt][0:2]
    assert after[hurt][4:] == before[hurt][4:]


@pytest.mark.parametrize("name", ["ix_training_runs_status", "sqlite_autoindex_run_objectives_1"])
def test_of_a_damaged_index_nothing_is_lost(file: Path, name: str) -> None:
    before = pieces(file)
    overwrite(file, root_page(file, name), noise(2))
    (found,) = [one for one in care(str(file)) if one.check == "integrity"]
    assert "the table itself can be read" in found.what
    assert "nothing is lost" in run(found.mend)
    rescued = file.with_name("runs-rescued.db")
    assert care(str(rescued)) == []
    assert pieces(rescued) == before


def test_an_index_that_forgot_a_row_is_made_anew(file: Path) -> None:
    page = root_page(file, "ix_training_runs_host")
    old = page_of(file, page)
    with TrainingDB(file) as db:
        db.runs.insert("late", host="gpu-9")
    file_of(f"sqlite:///{file}")
    overwrite(file, page, old)
    with TrainingDB(file) as db:
        assert db.runs.query({"host": "gpu-9"}) == []  # the answer is wrong, and nobody complains
    (found,) = [one for one in care(str(file)) if one.check == "integrity"]
    assert any("ix_training_runs_host" in line for line in found.which)
    run(found.mend)
    assert care(str(file)) == []
    with TrainingDB(file) as db:
        assert [one["run_id"] for one in db.runs.query({"host": "gpu-9"})] == ["late"]


@pytest.mark.parametrize("seed", range(rounds(4, 150)))
def test_whatever_page_is_hurt_nothing_else_is_lost(sound: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    file = tmp_path / "runs.db"
    shutil.copy(sound, file)
    file.chmod(0o600)
    page = chance.randrange(3, file.stat().st_size // PAGE + 1)
    overwrite(file, page, chance.choice([bytes(PAGE), chance.randbytes(PAGE)]))
    care(str(file))  # whatever it finds, it raises nothing
    try:
        saved = rescue(file, tmp_path / "new.db")
    except DatabaseUnavailable:
        # The page held the list of the tables.
        with closing(sqlite3.connect(file)) as connection, pytest.raises(sqlite3.DatabaseError):
            connection.execute("SELECT count(*) FROM training_runs").fetchone()
        return
    with (
        closing(sqlite3.connect(sound)) as old,
        closing(sqlite3.connect(saved.file)) as new,
    ):
        assert new.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        hurt = 0
        for one in saved.tables:
            rows = set(old.execute(f"SELECT * FROM {one.table}"))
            kept = set(new.execute(f"SELECT * FROM {one.table}"))
            gone = rows - kept
            hurt += bool(gone)
            # Of a page in the middle of a long text SQLite knows nothing but where it goes on.
            assert len(gone) <= max(1, len(one.partly) + len(one.lost)) or not one.is_counted
        assert hurt <= 1


def test_the_command_says_what_became_of_each_table(file: Path, cli: Cli) -> None:
    overwrite(file, leaves_of(file, "training_runs")[0], bytes(PAGE))
    new = file.with_name("new.db")
    answer = cli("doctor", "--rescue", str(new), "--url", str(file), "--json")
    assert answer.code == 0
    told = json.loads(answer.out)
    assert told["file"] == str(new)
    runs = next(one for one in told["tables"] if one["table"] == "training_runs")
    assert runs["whole"] + runs["partly"] == RUNS
    assert told["lost"].keys() == {f"r{n:02}" for n in range(runs["partly"])}
    again = cli("doctor", "--rescue", str(new), "--url", str(file))
    assert (again.code, "is there already" in again.err) == (1, True)


def test_a_disk_that_is_full_is_not_taken_for_damage(file: Path) -> None:
    with (
        closing(read_only(file)) as source,
        closing(sqlite3.connect(":memory:", isolation_level=None)) as target,
    ):
        target.execute("PRAGMA max_page_count = 60")
        with pytest.raises(OSError, match="full"):
            salvage(source, target)


def test_what_cannot_be_rescued_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    noise = tmp_path / "noise.db"
    noise.write_bytes(b"SQLite format 3\x00" + bytes(4000))
    for place, error in (
        (noise, DatabaseUnavailable),
        (tmp_path / "none.db", SchemaMissing),
        ("postgresql://localhost/runs", InvalidValue),
    ):
        with pytest.raises(error):
            rescue(place, tmp_path / "new.db")
    with pytest.raises(Conflict):
        rescue(noise, noise)
    assert sorted(one.name for one in tmp_path.iterdir() if one.is_file()) == ["noise.db"]
