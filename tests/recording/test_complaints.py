"""What a recorder says reaches people where it can, and never the training."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

from training_db.recording.complaints import warn

if TYPE_CHECKING:
    import pytest


def test_what_somebody_shows_warnings_with_may_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_told: object, **_also: object) -> None:
        raise ZeroDivisionError

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", fails)
        warn("the disk is full")
    assert "the disk is full" in capsys.readouterr().err


def test_a_program_without_stderr_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn("the disk is full")
