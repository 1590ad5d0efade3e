"""Odd documents, and what a log tells of the run that a run is a part of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.capture.logs import simple, write_log
from training_db.capture import import_wandb_logs
from training_db.capture.offline.log import WandbLog
from training_db.capture.offline.records import messages
from training_db.capture.offline.replay import Document

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB


def _item(key: str, text: str, **typed: float) -> bytes:
    item = messages()["Item"](nested_key=[key.encode()], value_json=text.encode(), **typed)
    written: bytes = item.SerializeToString()
    return written


def test_a_record_removes_what_it_also_updates() -> None:
    summary = Document("summary")
    summary.update([_item("loss", "1"), _item("acc", "2")], order=3)
    summary.remove([_item("loss", "")], order=3)
    assert summary.value() == {"acc": 2}


@pytest.mark.parametrize("length", [1, 127, 130, 300])
@pytest.mark.parametrize("typed", [False, True], ids=["json", "typed"])
def test_of_a_key_that_is_updated_again_and_again_one_update_is_kept(
    length: int, typed: bool
) -> None:
    key, summary = "k" * length, Document("summary")
    for at in range(50):  # 130 is a length whose bytes are those of the tag of a value
        summary.update([_item(key, str(at), **({"number": at} if typed else {}))], order=at)
    assert summary.value() == {key: 49}
    assert len(summary._items) == 1


@pytest.mark.parametrize(
    ("tags", "config", "parent"),
    [
        (["best", "parent:1a2b"], {}, "1a2b"),
        (["parent:" + "x" * 57], {"parent_run_id": "x" * 80}, "x" * 80),
        (["parent:1a2b"], {"parent_run_id": 7}, "1a2b"),
        (["parent:"], {"parent_run_id": "1a2b"}, None),
        ([], {"parent_run_id": "1a2b"}, None),
    ],
    ids=["tag", "cut tag", "odd config", "empty tag", "config only"],
)
def test_the_run_that_a_run_is_a_part_of_is_told_by_its_tag(
    tmp_path: Path, tags: list[str], config: dict[str, str], parent: str | None
) -> None:
    log = WandbLog(write_log(tmp_path / "run-r1.wandb", simple(tags=tags, config=config)))
    list(log.batches())
    assert log.run is not None
    assert (log.run.parent, log.run.tags) == (parent, tags)


def test_an_imported_part_of_a_pipeline_names_the_run_of_the_pipeline(
    db: TrainingDB, tmp_path: Path
) -> None:
    db.runs.insert("sweep/7", "sweep-7-9253ec73")
    about = {"tags": ["parent:sweep-7-9253ec73"], "config": {"parent_run_id": "sweep-7-9253ec73"}}
    import_wandb_logs(db, write_log(tmp_path / "run-c1.wandb", simple("c1", **about)))
    assert db.runs.get("c1")["parent_run_id"] == "sweep/7"
