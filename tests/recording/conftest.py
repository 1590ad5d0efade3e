"""What the tests of live logging share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def spools_apart(spool_dir: Path) -> None:
    """Each test has a folder for spools of its own."""
