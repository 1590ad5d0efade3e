"""Draw docs/img: what `make demo` left, as a terminal and a browser (Chromium) show it."""

from __future__ import annotations

import io
import os
import pty
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "img" / "demo.svg"
REPORT = PICTURE.with_name("report.png")
WIDTH = 112
COMMANDS = (
    (
        "training-db runs list 'objective.QED > 0.6 and objective.logP < 1'"
        " --columns run_id,status,gradient_method,final_loss"
    ),
    "training-db stats",
)
# rich's own template would fetch a font from the network when the picture is looked at.
FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px;
  line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def main() -> None:
    """Run the commands in a terminal and save what it shows."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    for command in COMMANDS:
        console.print(Text(f"$ {command}\n", style="bold"))
        console.print(Text.from_ansi(in_terminal(shlex.split(command))))
    PICTURE.parent.mkdir(exist_ok=True)
    console.save_svg(str(PICTURE), title="training-db", theme=MONOKAI, code_format=FORMAT)
    photograph(ROOT / "demo.html", REPORT)


def photograph(page: Path, picture: Path, size: str = "1200,1500") -> None:
    """Take a picture of the top of a page; without a browser the old picture stays."""
    browser = shutil.which("chromium")
    if browser is None:
        print("no chromium: the picture of the report stays as it is", file=sys.stderr)  # noqa: T201
        return
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(  # noqa: S603 - ours
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
                "--disable-background-networking", "--virtual-time-budget=8000",
                f"--user-data-dir={profile}", f"--window-size={size}", f"--screenshot={picture}",
                page.as_uri(),
            ],
            check=True, capture_output=True,
        )  # fmt: skip


def in_terminal(command: list[str]) -> str:
    """Return what a command prints on a terminal, colours included."""
    ours, theirs = pty.openpty()
    environment = os.environ | {
        "COLUMNS": str(WIDTH), "TERM": "xterm-256color", "TRAINING_DB_PATH": str(ROOT / "demo.db"),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:  # noqa: S603 - ours
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    if process.returncode:
        sys.exit(shown.decode())
    return shown.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux says so when the other side of a terminal has closed
        return b""


if __name__ == "__main__":
    main()
