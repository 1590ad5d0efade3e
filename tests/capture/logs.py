"""Ways to make ``.wandb`` files: record by record, in the forms of old and new clients.

The real client's own stand in :mod:`tests.capture.client`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from wandb.proto.wandb_internal_pb2 import Record

from tests.capture.frames import framed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

START = 1_700_000_000
"""When the runs of these logs began, in Unix seconds."""


class Raw(str):
    """JSON text that is written as it is."""

    __slots__ = ()


def as_json(value: Any) -> str:
    return str(value) if isinstance(value, Raw) else json.dumps(value)


def write_log(path: Path, records: Iterable[Record]) -> Path:
    """Write a log, and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(framed(one.SerializeToString() for one in records).data)
    return path


def header(version: str = "") -> Record:
    record = Record()
    record.header.SetInParent()
    record.header.version_info.producer = version
    return record


def run(run_id: str = "r1", start: float = START, **fields: Any) -> Record:
    """The record that a log begins with.

    Args:
        run_id: Its id.
        start: When it began, in Unix seconds.
        fields: Of the protobuf message; ``config`` is a mapping, ``cli_version`` and ``git`` stand
            in messages of their own.
    """
    record = Record()
    told = record.run
    told.run_id, told.project = run_id, fields.pop("project", "project")
    told.start_time.FromNanoseconds(round(start * 1e9))
    for key, value in fields.pop("config", {}).items():
        told.config.update.add(key=key, value_json=as_json(value))
    told.tags.extend(fields.pop("tags", []))
    told.telemetry.cli_version = fields.pop("cli_version", "")
    remote, commit = fields.pop("git", ("", ""))
    told.git.remote_url, told.git.commit = remote, commit
    for name, value in fields.items():
        setattr(told, name, value)
    return record


def history(
    row: Mapping[Any, Any], step: int | None = None, *, nested: bool = True, item: bool = True
) -> Record:
    """A row of the history.

    Args:
        row: Its values, by key or by path (a tuple).
        step: Its step, for the step field and the item ``_step``.
        nested: Whether keys are written as paths, as wandb-core does.
        item: Whether there is an item ``_step``.
    """
    record = Record()
    record.history.SetInParent()
    if step is not None:
        record.history.step.num = step
        record.history.step.SetInParent()
    for key, value in {**row, **({"_step": step} if item and step is not None else {})}.items():
        _fill(record.history.item.add(), key, value, nested=nested)
    return record


def summary(
    row: Mapping[Any, Any] | None = None, removed: Iterable[Any] = (), *, nested: bool = False
) -> Record:
    record = Record()
    record.summary.SetInParent()
    for key, value in (row or {}).items():
        _fill(record.summary.update.add(), key, value, nested=nested)
    for key in removed:
        _name(record.summary.remove.add(), key, nested=nested)
    return record


def config(
    row: Mapping[Any, Any] | None = None, removed: Iterable[Any] = (), *, nested: bool = False
) -> Record:
    record = Record()
    record.config.SetInParent()
    for key, value in (row or {}).items():
        _fill(record.config.update.add(), key, value, nested=nested)
    for key in removed:
        _name(record.config.remove.add(), key, nested=nested)
    return record


def metric(name: str, **summaries: bool) -> Record:
    record = Record()
    record.metric.name = name
    record.metric.options.defined = True
    for kind, wanted in summaries.items():
        setattr(record.metric.summary, kind, wanted)
    return record


def ended(code: int = 0, runtime: int = 0) -> Record:
    record = Record()
    record.exit.exit_code, record.exit.runtime = code, runtime
    record.exit.SetInParent()
    return record


def environment(**fields: Any) -> Record:
    record = Record()
    remote, commit = fields.pop("git", ("", ""))
    if remote:
        record.environment.git.remote_url, record.environment.git.commit = remote, commit
    for name, value in fields.items():
        setattr(record.environment, name, value)
    return record


def files(*paths: str) -> Record:
    record = Record()
    for path in paths:
        record.files.files.add(path=path)
    return record


def alert(title: str, text: str, level: str = "INFO") -> Record:
    record = Record()
    record.alert.title, record.alert.text, record.alert.level = title, text, level
    return record


def stats() -> Record:
    record = Record()
    record.stats.timestamp.FromSeconds(START)
    record.stats.item.add(key="cpu", value_json="1.5")
    record.stats.item.add(key="gpu.0.name", value_json="NVIDIA RTX A5000")
    return record


def console(line: str) -> Record:
    record = Record()
    record.output.line = line
    return record


def simple(run_id: str = "r1", rows: int = 3, start: float = START, **fields: Any) -> list[Record]:
    """The records of a run of a few rows that ended well."""
    return [
        header(),
        run(run_id, start, **fields),
        *(
            history({"loss": 1 / (step + 1), "_timestamp": start + step}, step)
            for step in range(rows)
        ),
        ended(0, rows),
    ]


def _fill(item: Any, key: Any, value: Any, *, nested: bool) -> None:
    _name(item, key, nested=nested)
    item.value_json = as_json(value)


def _name(item: Any, key: Any, *, nested: bool) -> None:
    if nested or isinstance(key, tuple):
        item.nested_key.extend(key if isinstance(key, tuple) else (key,))
    else:
        item.key = key
