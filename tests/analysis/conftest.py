"""What the tests of analyses share with those of the command line."""

from __future__ import annotations

from tests.cli.conftest import cli

__all__ = ["cli"]
