"""Write docs/cli.md from the commands themselves; ``--check`` only says whether it is current."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("cli.md")


def generate() -> str:
    """Return the page, as typer writes it."""
    command = [
        sys.executable, "-m", "typer", "training_db.cli",
        "utils", "docs", "--name", "training-db", "--title", "The command line",
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own


def main() -> None:
    """Write the page, or compare it."""
    page = generate()
    if "--check" not in sys.argv:
        PAGE.write_text(page)
    elif PAGE.read_text() != page:
        sys.exit("docs/cli.md is not what the commands say; run: make docs")


if __name__ == "__main__":
    main()
