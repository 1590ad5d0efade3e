"""What the tests of security share."""

from __future__ import annotations

from tests.cli.conftest import cli

__all__ = ["cli"]
