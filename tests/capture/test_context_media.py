"""Tables, images and files of a WandBContext: each where it belongs, on both sides."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.capture.contexts import Begin, begin, quiet_wandb, the_log
from tests.capture.pipelines import LEAN, run
from training_db.recording import RecorderWarning

if TYPE_CHECKING:
    from training_db import TrainingDB

__all__ = ["begin", "quiet_wandb"]
pytestmark = pytest.mark.usefixtures("spool_dir", "quiet_wandb")


def test_a_table_is_an_artifact_with_its_rows(begin: Begin, db: TrainingDB, tmp_path: Path) -> None:
    with begin() as ctx:
        ctx.log_table("eval/samples", ["smiles", "qed"], [["CCO", 0.4], ("C", np.float64(0.3))])
        ctx.log_table("eval/mixed", ["x"], [[1], ["text"], [None]])
        ctx.log_table("eval/named", None, [{"a": 1}, {"b": 2}])
        ctx.log_training_metric("eval", "acc", 0.5, 0)
    tables = db.artifacts.list("p1", "table")
    assert [json.loads(one["metadata_json"]) for one in tables] == [
        {
            "name": "eval/samples", "columns": ["smiles", "qed"], "rows": 2,
            "data": [["CCO", 0.4], ["C", 0.3]],
        },
        {"name": "eval/mixed", "columns": ["x"], "rows": 3, "data": [[1], ["text"], [None]]},
        {"name": "eval/named", "columns": ["a", "b"], "rows": 2, "data": [[1, None], [None, 2]]},
    ]  # fmt: skip
    assert json.loads(Path(tables[0]["filepath"]).read_text())["columns"] == ["smiles", "qed"]
    log = the_log(tmp_path)
    media = [row["eval/samples"] for row in log.rows if "eval/samples" in row]
    assert [(one["_type"], one["nrows"]) for one in media] == [("table-file", 2)]
    assert log.cells("eval/acc") == [(0, 0.5)]


class Figure:
    """What of matplotlib's figures is needed; W&B takes it for nothing that it knows."""

    def savefig(self, path: Path) -> None:
        Path(path).write_bytes(b"a picture")


def test_an_image_of_any_kind_is_an_artifact_by_its_path(
    begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    from PIL import Image

    Image.new("RGB", (3, 2)).save(tmp_path / "given.png")
    with begin() as ctx:
        ctx.log_image("eval/path", tmp_path / "given.png", caption="as it is", step=4)
        ctx.log_image("eval/array", np.zeros((4, 5)))
        ctx.log_image("eval/pil", Image.new("L", (2, 2)))
        with pytest.warns(RecorderWarning, match="W&B images"):
            ctx.log_image("eval/figure", Figure())
        with pytest.warns(RecorderWarning, match="log_image"):
            ctx.log_image("eval/none", object())
    images = db.artifacts.list("p1", "image")
    about = [json.loads(one["metadata_json"]) for one in images]
    assert [one["name"] for one in about] == ["eval/path", "eval/array", "eval/pil", "eval/figure"]
    assert (about[0]["caption"], about[0]["step"]) == ("as it is", 4)
    assert all(Path(one["filepath"]).stat().st_size == one["size_bytes"] > 0 for one in images)
    log = the_log(tmp_path)
    assert [(step, one["width"]) for step, one in log.cells("eval/path")] == [(4, 3)]
    assert [one["height"] for _, one in log.cells("eval/array")] == [4]


def test_files_and_folders_and_urls_are_artifacts(
    begin: Begin, db: TrainingDB, tmp_path: Path
) -> None:
    (tmp_path / "model [1].pt").write_bytes(b"12345")
    (tmp_path / "folder" / "in").mkdir(parents=True)
    (tmp_path / "folder" / "in" / "a.txt").write_text("a")
    with begin() as ctx:
        ctx.save_file("model [1].pt", "checkpoint")
        ctx.save_file(tmp_path / "folder")
        ctx.save_file("s3://bucket/model.pt")
        with pytest.warns(RecorderWarning, match="there is no file"):
            ctx.save_file("nowhere.pt")
    stored = [(one["artifact_type"], one["filepath"]) for one in db.artifacts.list("p1")]
    assert stored == [
        ("checkpoint", str(tmp_path / "model [1].pt")),
        ("file", str(tmp_path / "folder")),
        ("file", "s3://bucket/model.pt"),
        ("file", str(tmp_path / "nowhere.pt")),
    ]
    assert {"model [1].pt", "folder/in/a.txt"} <= {*the_log(tmp_path).files}


def test_without_pillow_images_go_to_the_database_only(db: TrainingDB, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"not looked at")
    url = db.url.render_as_string(hide_password=False)
    code, _, errors = run(
        os.environ,
        create={"run_id": "p1", "mode": "offline", "db": url, "settings": LEAN},
        missing=["PIL"],
        calls=[["log_image", "a", "a.png"], ["log_image", "b", [[0.5, 1.0]]]],
        end=0,
    )
    assert code == 0
    assert errors.count("pip install pillow") == 1
    paths = [Path(one["filepath"]).name for one in db.artifacts.list("p1", "image")]
    assert paths == ["a.png", "b_0.npy"]
