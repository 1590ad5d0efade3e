"""What is worth saying of runs, as the points of a page."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from training_db.analysis.dynamics.findings import SEVERITIES
from training_db.counts import counted
from training_db.report.document import Point, Points
from training_db.report.labels import shortened
from training_db.report.pages.naming import marked
from training_db.report.wording import listed, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training_db.analysis.dynamics.findings import Finding, Severity
    from training_db.analysis.fronts.pareto_front import ParetoFront
    from training_db.database import TrainingDB

_MOST = 12
_SHARED = 3  # runs that say the same, from which on they are said to
_BROKEN = ("failed", "crashed")
_NOT_FINITE = {"nan": "NaN", "positive": "+Inf", "negative": "-Inf"}


def of_run(db: TrainingDB, run_id: str) -> list[Point]:
    """Return what is worth saying of one run.

    Args:
        db: The database.
        run_id: The run.

    Raises:
        RunNotFound: There is no such run.

    Example:
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("r1")
        >>> _ = db.history.append("r1", {"loss": [1.0, float("nan")] * 10})
        >>> of_run(db, "r1")[0].severity
        'error'
    """
    return [Point(one.severity, one.sentence) for one in db.analysis.findings(run_id)]


def of_runs(found: Mapping[str, Sequence[Finding]], labels: Mapping[str, str]) -> list[Point]:
    """Return what is worth saying of several runs, the gravest first.

    What some of them have in common is said once, with the first of them as the example.

    Args:
        found: For each run what was found in it.
        labels: For each run what it is called.
    """
    together: dict[tuple[Severity, str, str], list[tuple[str, Finding]]] = defaultdict(list)
    for run_id in labels:
        for one in found[run_id]:
            together[one.severity, one.kind, one.about].append((run_id, one))
    points = []
    for (severity, _, _), alike in sorted(together.items(), key=_most_first):
        if len({run_id for run_id, _ in alike}) < _SHARED:
            points += [Point(severity, one.sentence, labels[run_id]) for run_id, one in alike]
        else:
            points.append(_common(alike, labels))
    return points


def troubles(
    runs: Sequence[Mapping[str, Any]], found: Mapping[str, Sequence[Finding]]
) -> dict[str, str]:
    """Return what is wrong with runs, in a few words that stand behind their names.

    Args:
        runs: As ``db.runs.query`` returns them.
        found: For each run what was found in it.

    Returns:
        The words for each run that failed, crashed, or is broken by what was found in it.

    Example:
        >>> troubles([{"run_id": "a", "status": "failed"}, {"run_id": "b", "status": "completed"}],
        ...          {"a": [], "b": []})
        {'a': 'failed'}
    """
    words = {}
    for run in runs:
        broken = [one for one in found[run["run_id"]] if one.severity == "error"]
        said = [run["status"]] if run["status"] in _BROKEN else []
        said += [_in_short(one) for one in broken[:1]]
        if said:
            words[run["run_id"]] = ", ".join(said)
    return words


def _in_short(error: Finding) -> str:
    kinds = [word for key, word in _NOT_FINITE.items() if error.data.get(key)]
    (about,) = shortened([error.about])
    return f"{' and '.join(kinds)} in its {about}" if kinds else f"its {about} diverged"


def shown(points: Sequence[Point], empty: str) -> list[Points]:
    """Return points, the gravest first, and those beyond the first dozen only when asked for."""
    ordered = sorted(points, key=lambda point: SEVERITIES.index(point.severity))
    if len(ordered) <= _MOST + 1:
        return [Points(ordered, empty)]
    rest = ordered[_MOST:]
    return [Points(ordered[:_MOST]), Points(rest, folded=counted(len(rest), "more finding"))]


def of_front(
    front: ParetoFront[str], labels: Mapping[str, str], marks: Mapping[str, str]
) -> list[Point]:
    """Return which runs are best by several objectives at once, and which by each.

    Args:
        front: The ranks of the runs, of which there is at least one.
        labels: For each run what it is called.
        marks: For each run with which something is wrong, what, as :func:`troubles` says it.
    """
    best = []
    for place, (name, direction) in enumerate(zip(front.names, front.directions, strict=True)):
        column = front.scores[:, place]
        row = int(column.argmax() if direction == "maximize" else column.argmin())
        run_id = list(front.ranks)[row]
        extreme = "highest" if direction == "maximize" else "lowest"
        about = "; ".join([number(float(column[row])), *filter(None, [marks.get(run_id)])])
        best.append(f"{extreme} {name} in {labels.get(run_id, run_id)} ({about})")
    alone = Point("info", f"Taken one by one: {'; '.join(best)}.")
    return [_the_best(front, marked(labels, marks)), alone] if len(front.names) > 1 else [alone]


def _the_best(front: ParetoFront[str], labels: Mapping[str, str]) -> Point:
    names = [labels.get(run_id, run_id) for run_id in front.front]
    verb = "is" if len(names) == 1 else "are"
    sentence = (
        f"{len(names)} of {counted(len(front.ranks), 'run')} {verb} on the Pareto front of "
        f"{listed(front.names, 6)}: {listed(names, 6)}."
    )
    if front.knee is not None and len(names) > 1:
        sentence += f" The best compromise of them is {labels.get(front.knee, front.knee)}."
    return Point("info", sentence)


def _common(found: Sequence[tuple[str, Finding]], labels: Mapping[str, str]) -> Point:
    run_ids = list(dict.fromkeys(run_id for run_id, _ in found))
    first = found[0][1]
    names = listed([labels[run_id] for run_id in run_ids])
    sentence = (
        f"{len(run_ids)} of {counted(len(labels), 'run')} share this ({names}). "
        f"For example, {labels[run_ids[0]]}: {first.sentence}"
    )
    return Point(first.severity, sentence, f"{first.kind.capitalize()} in {first.about}")


def _most_first(entry: tuple[tuple[Severity, str, str], list[Any]]) -> tuple[int, int]:
    (severity, _, _), found = entry
    return SEVERITIES.index(severity), -len(found)
