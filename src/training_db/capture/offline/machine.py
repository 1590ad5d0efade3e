"""The machine of a run, as a W&B log describes it, and nothing of the person at it."""

from __future__ import annotations

import re
from typing import Any

from training_db.capture.offline.records import text

_HOME = re.compile(r"(?<![\w.-])(?:/home|/Users|[A-Za-z]:\\Users)[/\\][^/\\\s]+")
_PERSON = re.compile(r"(?:.*_)?(?:e_?mail|user(?:_?name)?|uid|login)", re.IGNORECASE)
_REMOTES = ("remote", "remote_url")
_USER = re.compile(r"^([\w+.-]+://)?[^/@]*@")


def machine(found: Any) -> dict[str, Any]:
    """Return what a record of the environment says, where it says something.

    Args:
        found: Its message.
    """
    about = {
        name: text(getattr(found, name))
        for name in (
            "os", "docker", "code_path", "colab", "gpu_type", "cuda_version", "writer_id",
        )
    } | {
        "program": text(found.program), "executable": text(found.executable),
        "arguments": [text(one) for one in found.args],
        "cpus": found.cpu_count, "logical_cpus": found.cpu_count_logical,
        "cpu": text(found.cpu.model), "memory_bytes": found.memory.total,
        "gpus": found.gpu_count,
        "gpu_memory_bytes": [one.memory_total for one in found.gpu_nvidia],
        "slurm": {text(one.key): text(one.value) for one in found.slurm},
    }  # fmt: skip
    return {name: without_person(value) for name, value in about.items() if value}


def without_person(value: Any) -> Any:
    """Return what W&B noted of a machine, without who sat there.

    Example:
        >>> without_person({"email": "me@example.org", "program": "/home/me/train.py"})
        {'program': '~/train.py'}
    """
    if isinstance(value, dict):
        return {
            key: without_user(one)
            if key in _REMOTES and isinstance(one, str)
            else without_person(one)
            for key, one in value.items()
            if not _PERSON.fullmatch(key)
        }
    if isinstance(value, list):
        return [without_person(one) for one in value]
    return _HOME.sub("~", value) if isinstance(value, str) else value


def without_user(remote: str) -> str:
    """Return where a repository lies, without who asks for it.

    Example:
        >>> without_user("https://me:secret@example.org/a/b"), without_user("git@example.org:a/b")
        ('https://example.org/a/b', 'example.org:a/b')
    """
    return _USER.sub(lambda found: found[1] or "", remote)
