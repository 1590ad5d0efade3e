"""Start copies in processes of their own, and wait for what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

DEADLINE = 120.0


class Copier:
    """One copy in a process of its own.

    Args:
        source: From where.
        target: To where.
        orders: What else ``tests/transfer/copier.py`` is told.
    """

    def __init__(self, source: str, target: str, **orders: Any) -> None:
        told = {"source": source, "target": target, **orders}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.transfer.copier", json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == "ready"

    def go(self) -> Copier:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self

    def killed_after(self, seconds: float) -> int:
        """Wait so long for its end, then kill it; return its exit status."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.communicate(timeout=DEADLINE)
        return self._process.returncode

    def interrupted_after(self, seconds: float, number: int) -> tuple[int, str]:
        """Wait so long, then send a signal; return its exit status and what it complained of."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.send_signal(number)
        _, errors = self._process.communicate(timeout=DEADLINE)
        return self._process.returncode, errors

    def answer(self) -> dict[str, Any]:
        """Wait for its end, and return what it said."""
        output, errors = self._process.communicate(timeout=DEADLINE)
        assert (self._process.returncode, errors) == (0, "")
        return json.loads(output)
