"""Start the programs of these tests, speak with them, and wait for them, with a deadline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEADLINE = 60.0
"""Seconds after which something that should happen is said not to."""


class Process:
    """A Python program of this package, started with orders, its output in files.

    Args:
        folder: Where its files go.
        program: The module's name in this package.
        orders: What it is told, as JSON.
        environment: Environment variables of its own.
    """

    def __init__(
        self,
        folder: Path,
        program: str,
        orders: dict[str, Any],
        environment: dict[str, str] | None = None,
    ) -> None:
        self.acks = folder / f"{program}-{len(list(folder.iterdir()))}.acks"
        self._errors = self.acks.with_suffix(".stderr")
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    f"tests.faults.{program}",
                    json.dumps({"acks": str(self.acks), **orders}),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **(environment or {})},
            )
        self.pid = self._process.pid

    def line(self) -> str:
        """Wait for the next line of its output."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().rstrip("\n")

    def rest(self) -> list[str]:
        """Wait for its end, and return the lines that it still wrote."""
        assert self._process.stdout is not None
        return self._process.stdout.read().splitlines()

    def tell(self, order: str) -> None:
        """Write a line to its input."""
        assert self._process.stdin is not None
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it by SIGKILL, whatever it does, and wait until it is gone."""
        self._process.kill()
        self.wait()

    def wait(self, timeout: float = DEADLINE) -> int:
        """Wait for its end, and return its exit status; minus a signal's number by that signal."""
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise AssertionError(f"no end after {timeout} s; stderr: {self.errors}") from None
        finally:
            self._close()
        return code

    def ends_within(self, seconds: float) -> bool:
        """Wait so long for its end, and tell whether it came."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        self._close()
        return True

    @property
    def errors(self) -> str:
        """What it has written to stderr."""
        return self._errors.read_text()

    @property
    def acknowledged(self) -> int:
        """How many calls of log() have returned."""
        return self.acks.read_bytes().count(b"\n") if self.acks.exists() else 0

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                with suppress(BrokenPipeError):
                    pipe.close()


def until(condition: Callable[[], object], what: str, timeout: float = DEADLINE) -> None:
    """Ask again and again until something is true; fail with its name after a deadline."""
    end = monotonic() + timeout
    pause = threading.Event()
    while not condition():
        assert monotonic() < end, f"not within {timeout} s: {what}"
        pause.wait(0.02)


def elapse(seconds: float) -> None:
    """Let time go by: how long something lasts is what these tests are about."""
    threading.Event().wait(seconds)
