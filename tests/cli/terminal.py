"""Runs the command line as people do: in this process, in a pipe, or on a terminal of its own."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from typing import Any

COMMAND = [sys.executable, "-c", "from training_db.cli import main; main()"]


@dataclass(frozen=True)
class Answer:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str


def lines(shown: str) -> list[list[str]]:
    """Return the words of each line."""
    return [line.split() for line in shown.splitlines()]


def answered(answer: Answer) -> Any:
    """Return the JSON that a command printed, which did its work without a word besides."""
    assert (answer.code, answer.err) == (0, "")
    return json.loads(answer.out)


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment without what changes how output looks."""
    hidden = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TERM", "TTY_COMPATIBLE")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | {"TERM": "xterm-256color"} | variables


def piped(*arguments: str, **variables: str) -> Answer:
    """Run a command whose output goes into a pipe."""
    done = subprocess.run(
        [*COMMAND, *arguments], env=environment(**variables), capture_output=True, check=False
    )
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


def on_terminal(*arguments: str, width: int = 120, typed: str = "", **variables: str) -> Answer:
    """Run a command on a pseudo-terminal of a given width, where somebody types something."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env=environment(**variables),
        stdin=slave,
        stdout=slave,
        stderr=subprocess.PIPE,
    )
    os.close(slave)
    os.write(master, typed.encode())
    shown = bytearray()
    try:
        while part := os.read(master, 65_536):
            shown += part
    except OSError:  # Linux says so when the other side is closed
        pass
    os.close(master)
    _, errors = process.communicate(timeout=30)
    return Answer(process.returncode, shown.decode().replace("\r\n", "\n"), errors.decode())
