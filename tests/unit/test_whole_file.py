"""Files are there whole or not at all, and what is no file stays what it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from training_db.whole_file import opened_whole, write_whole


def test_a_file_is_replaced_whole_or_stays_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    write_whole(path, "old")
    link = tmp_path / "link.html"
    link.symlink_to(path)
    write_whole(link, "new")
    assert (path.read_text(), link.is_symlink()) == ("new", True)
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "\ud800")
    with pytest.raises(KeyboardInterrupt), opened_whole(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text() == "new"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link.html", "page.html"]
    with pytest.raises(OSError, match="nowhere"):
        write_whole(tmp_path / "nowhere" / "page.html", "x")


def test_a_name_may_be_as_long_as_names_can_be(tmp_path: Path) -> None:
    path = tmp_path / ("π" * 127)
    write_whole(path, "x")
    assert path.read_text() == "x"


def test_a_pipe_stays_a_pipe() -> None:
    write_whole(Path(os.devnull), "x")
    assert not Path(os.devnull).is_file()
