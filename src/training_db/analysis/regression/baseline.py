"""Which runs a run is compared with."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from training_db.analysis.regression.outliers import far_off
from training_db.analysis.targets import is_finite, numbers_of_runs
from training_db.errors import InvalidValue, NotFound, RunNotFound
from training_db.models import RunStatus
from training_db.repository.filters import (
    And,
    ColumnField,
    Compare,
    DocumentField,
    Missing,
    TagField,
    field,
)
from training_db.repository.run_scores import value_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from training_db.analysis.source import Source
    from training_db.analysis.targets import Target
    from training_db.repository.filters import Filter
    from training_db.repository.run_dict import RunDict

BASELINE_TAG = "baseline"
"""Runs tagged ``baseline=NAME`` are the baseline of that name."""
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Baseline:
    """Runs that one is compared with.

    Attributes:
        values: Their finite values, by run, the newest first.
        wording: Which runs they are, as a sentence goes on: ``"the last 3 completed runs"``.
        left_out: The values, by run, of those that lie too far off the others to count.
    """

    values: dict[str, float]
    wording: str
    left_out: dict[str, float]


def named_baseline(source: Source, target: Target, name: str, run_id: str) -> Baseline:
    """Return the baseline that somebody names, all of it: it is their choice.

    Args:
        source: The database.
        target: What is compared.
        name: A run's id or number, or the value of the tag ``baseline`` of some runs.
        run_id: The run that is compared with it, which is none of it.

    Raises:
        NotFound: There is no such run, and none with such a tag.
        InvalidValue: It is the run itself, in the trash, or no text.
    """
    if not isinstance(name, str) or not name:
        raise InvalidValue(f"the baseline is {name!r}; pass a run, or the name of a baseline")
    try:
        run_ids = [source.runs.resolve(name)]
        wording = run_ids[0]
    except RunNotFound:
        tagged = Compare(TagField(BASELINE_TAG), "=", name)
        run_ids = [run["run_id"] for run in source.runs.query(tagged, limit=None)]
        wording = f"the baseline {name}"
    if not run_ids:
        raise NotFound(
            f"there is no run {name!r}, and none of a baseline of that name; "
            f"`training-db runs tag RUN {BASELINE_TAG}={name}` makes a run one"
        )
    if source.runs.get(run_ids[0])["deleted_at"] is not None:
        raise InvalidValue(f"run {run_ids[0]!r} is in the trash; restore it, or name another")
    if run_ids == [run_id]:
        raise InvalidValue(f"run {run_id!r} is compared with itself; name another baseline")
    others = [one for one in run_ids if one != run_id]
    return Baseline(_finite(numbers_of_runs(source, target, others)), wording, {})


def good_runs(
    source: Source,
    target: Target,
    run: RunDict,
    *,
    last: int,
    keep: int,
    same: Sequence[str],
    among: Filter,
) -> Baseline:
    """Return the last good runs before a run: those that completed with a finite value.

    Those that lie far off the others are left out: one that diverged is no good run.

    Args:
        source: The database.
        target: What is compared.
        run: The run that is compared with them.
        last: How many, at most.
        keep: How many are not left out, see
            :func:`~training_db.analysis.regression.outliers.far_off`.
        same: Fields of which they have the same value as the run, or none as it has none.
        among: Of which runs.

    Raises:
        UnknownName: A field that does not exist.
        InvalidValue: A field by which runs cannot be alike.
    """
    completed = Compare(ColumnField("status"), "=", RunStatus.COMPLETED.value)
    alike = [_same(source, run, name) for name in same]
    before = [Compare(ColumnField("created_at"), "<=", run["created_at"])]
    # Else a metric that few runs have is looked for in page after page of all the others.
    known = Missing(target.field, negated=True)
    tree = And((among, completed, known, *alike, *(before if run["created_at"] else ())))
    found = dict(islice(_finite_values(source, target, run, tree), min(last, sys.maxsize)))
    off = set(far_off(list(found.values()), keep))
    values = {one: value for place, (one, value) in enumerate(found.items()) if place not in off}
    left_out = {one: value for one, value in found.items() if one not in values}
    wording = {0: "completed runs before it", 1: "one completed run"}.get(
        len(found), f"the last {len(found)} completed runs"
    )
    if left_out:
        wording = f"{len(values)} of {wording}"
    likeness = [
        ("without " if isinstance(one, Missing) and not one.negated else "with the same ") + name
        for name, one in zip(same, alike, strict=True)
    ]
    return Baseline(values, " ".join((wording, " and ".join(likeness))).rstrip(), left_out)


def _finite_values(
    source: Source, target: Target, run: RunDict, tree: Filter
) -> Iterator[tuple[str, float]]:
    after: str | None = None
    while True:
        page = source.runs.page(tree, limit=_AT_ONCE, after=after)
        earlier = [one["run_id"] for one in page.items if _is_earlier(one, run)]
        yield from _finite(numbers_of_runs(source, target, earlier)).items()
        after = page.next
        if after is None:
            return


def _is_earlier(one: RunDict, run: RunDict) -> bool:
    return bool(one["created_at"] != run["created_at"] or one["number"] < run["number"])


def _finite(values: dict[str, float]) -> dict[str, float]:
    return {run_id: value for run_id, value in values.items() if is_finite(value)}


def _same(source: Source, run: RunDict, name: str) -> Filter:
    match field(name):
        case ColumnField(column) as known if not column.endswith("_json"):
            value = run[column]
        case TagField(tag) as known:
            tags = source.tags.of(run["run_id"])
            if tag in tags and tags[tag] is None:
                return Missing(known, negated=True)
            value = tags.get(tag)
        case DocumentField(column, paths) as known:
            value = value_at(run[column], paths)
        case _:
            raise InvalidValue(
                f"runs cannot be alike by {name}; pass a column, config.PATH or tag.NAME"
            )
    if isinstance(value, (dict, list)):
        raise InvalidValue(f"{name} of run {run['run_id']!r} is no single value; pass a part of it")
    return Missing(known) if value is None else Compare(known, "=", value)
