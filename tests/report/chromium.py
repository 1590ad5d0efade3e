"""A headless Chromium that opens a page from a file, and what it has to say of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-default-apps", "--disable-extensions", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # nothing leaves the machine, its own wishes neither
)  # fmt: skip
_PATIENCE = 120  # seconds; a page takes two


@dataclass(frozen=True)
class Visit:
    """What became of a page.

    Attributes:
        dom: The page as HTML after its scripts ran.
        requests: All addresses that it asked for.
    """

    dom: str
    requests: list[str]


@dataclass(frozen=True)
class Chromium:
    """The browser.

    Attributes:
        program: Where it is.
        folder: Where it may write: a new profile for each page.
    """

    program: str
    folder: Path

    @classmethod
    def find(cls, folder: Path) -> Chromium | None:
        """Return the browser of this machine, if it has one."""
        found = next(filter(None, map(shutil.which, _NAMES)), None)
        return None if found is None else cls(found, folder)

    def visit(self, page: Path, *options: str, dark: bool = False) -> Visit:
        """Open a page, let its scripts run, and return what became of it."""
        place = Path(tempfile.mkdtemp(dir=self.folder))
        log = place / "net.json"
        command = [
            self.program, *_QUIET, f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            f"--user-data-dir={place / 'profile'}", f"--log-net-log={log}",
            "--virtual-time-budget=8000", "--window-size=1200,900", "--dump-dom",
            *options, page.resolve().as_uri(),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=True)
        asked = _addresses(json.loads(log.read_text(encoding="utf-8")))
        return Visit(done.stdout.decode(), sorted(set(asked)))


def _addresses(log: dict[str, Any]) -> list[str]:
    """Return what a page asked for, by a net log of Chromium, whatever became of the requests.

    What the browser wants for itself, such as news of its updates, has no page behind it.
    """
    asked = (event.get("params") for event in log["events"])
    return [
        one["url"]
        for one in asked
        if isinstance(one, dict) and one.get("initiator", "not an origin") != "not an origin"
    ]
