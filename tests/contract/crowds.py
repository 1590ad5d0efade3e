"""Several processes at once on one database."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def outputs_of(module: str, crowd: Iterable[list[str]]) -> list[str]:
    """Run a module in one process for each list of arguments, and let all begin at one time.

    A process prints ``ready`` when it has loaded what it needs, and begins when it reads a line.
    None may fail or complain.

    Returns:
        What each printed after that.
    """
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for arguments in crowd
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = []
    for process in processes:
        output, errors = process.communicate(timeout=120)
        assert (process.returncode, errors) == (0, "")
        outputs.append(output)
    return outputs
