"""``training-db analyze pareto``: which runs and scaffolds are best by several objectives."""

from __future__ import annotations

import re
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from training_db.cli.facts import print_facts
from training_db.cli.output import (
    FilterOption,
    Json,
    Url,
    cell,
    chosen_filter,
    one_line,
    print_json,
    print_table,
)
from training_db.errors import InvalidValue, MetricNotFound, UnknownName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from training_db.analysis.fronts.pareto_front import ParetoFront, ScaffoldFronts

_IS_FILTER = re.compile(r"[=<>]|\s(?:is|in|like|not)\b", re.IGNORECASE)
_NAMED = 5  # items without a rank


class Scope(StrEnum):
    """Which scaffolds are ranked together."""

    RUN = "run"
    ALL = "all"


def register(app: typer.Typer) -> None:
    """Add the command to those of analyses."""
    app.command()(pareto)


def pareto(
    objectives: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[OBJECTIVE[:max|:min]]... [FILTER]",
            help="What counts, and which way it is better; without a direction the one that runs "
            "have stored, and without a name all that have one. Also metric.NAME[.min], "
            "summary.KEY or a column. At the end a filter, as for `runs list`. Of scaffolds whose "
            "scores are normalized, more is better of each: say :max.",
            show_default=False,
        ),
    ] = None,
    filter_option: FilterOption = None,
    statistic: Annotated[
        str, typer.Option(metavar="STATISTIC", help="Of runs: which number of an objective counts.")
    ] = "raw_mean",
    scaffolds: Annotated[
        bool, typer.Option("--scaffolds", help="Rank scaffolds, by their own scores.")
    ] = False,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="The scaffolds of the run of this id or number."),
    ] = None,
    scope: Annotated[
        Scope,
        typer.Option(help="Of scaffolds: whether they are ranked run by run, or all together."),
    ] = Scope.RUN,
    save: Annotated[
        bool, typer.Option("--save", help="Store the ranks as pareto_rank of the scaffolds.")
    ] = False,
    max_rank: Annotated[
        int, typer.Option(min=1, help="List what has at most this rank; 1 is the front.")
    ] = 1,
    limit: Annotated[int, typer.Option(min=1, help="At most so many rows.")] = 200,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Rank runs, or scaffolds, by several objectives: the front, its hypervolume and its knee.

    What lacks a score, or has one that is NaN or infinite, gets no rank, and is named.
    """
    from training_db.database import TrainingDB

    chosen, filter_text = _apart(objectives or [])
    filters = chosen_filter(filter_text, filter_option) or None
    of_runs = not scaffolds and run is None
    _check(of_runs=of_runs, both=run is not None and filters is not None, save=save)
    with TrainingDB(url) as db, _told_as_typed(chosen):
        if of_runs:
            front = db.analysis.pareto(chosen or None, filters, statistic=statistic)
            if as_json:
                print_json(front.as_dict())
            else:
                _print_runs(front, max_rank, limit)
            return
        fronts = db.analysis.scaffold_pareto(
            chosen or None,
            run_id=None if run is None else db.runs.resolve(run),
            filter=filters,
            scope=scope.value,
            save=save,
        )
    if as_json:
        print_json(fronts.as_dict())
    else:
        _print_scaffolds(fronts, max_rank, limit)


def _check(*, of_runs: bool, both: bool, save: bool) -> None:
    if both:
        raise typer.BadParameter("give a filter or --run, not both", param_hint="--run")
    if of_runs and save:
        raise typer.BadParameter(
            "the ranks of scaffolds are stored, not of runs; add --scaffolds", param_hint="--save"
        )


def _apart(arguments: list[str]) -> tuple[dict[str, str | None], str | None]:
    """Take objectives and a filter behind them apart."""
    filter_text = None
    if arguments and _IS_FILTER.search(arguments[-1]):
        *arguments, filter_text = arguments
    chosen = list(map(_objective, arguments))
    names = [name for name, _ in chosen]
    for name in names:
        if names.count(name) > 1:
            raise typer.BadParameter(f"{name!r} is named twice", param_hint="OBJECTIVE")
    return dict(chosen), filter_text


def _objective(text: str) -> tuple[str, str | None]:
    from training_db.analysis.direction import direction_word

    name, _, word = text.rpartition(":")
    try:
        return (name, direction_word(word)) if name else (text, None)
    except UnknownName:  # a name may hold a colon of its own
        return text, None


@contextmanager
def _told_as_typed(chosen: Mapping[str, str | None]) -> Iterator[None]:
    """Let errors of directions say what to type."""
    from training_db.analysis.fronts.objective_choice import NoDirection

    try:
        yield
    except NoDirection as error:
        name = error.name or "QED"
        say = "say" if error.name else "name objectives and directions: say"
        raise InvalidValue(f"{error.reason}; {say} {name}:max or {name}:min") from None
    except (UnknownName, MetricNotFound) as error:
        for text, way in chosen.items():
            name, _, word = text.rpartition(":")
            if way is None and name and repr(text.removeprefix("metric.")) in str(error):
                raise InvalidValue(
                    f"{word!r} is no direction; it is max or min: say {name}:max or {name}:min"
                ) from None
        raise


def _print_runs(front: ParetoFront[str], max_rank: int, limit: int) -> None:
    rows = list(_rows(front, max_rank))
    columns = ["pareto_rank", "run_id", *front.names, *_knee_column(rows)]
    print_table(_title("runs", max_rank), columns, rows[:limit], "no run that matches has a rank")
    _print_cut(len(rows), limit)
    typer.echo()
    print_facts("The front", _facts(front))
    _print_missing("run", front.missing)


def _print_scaffolds(fronts: ScaffoldFronts, max_rank: int, limit: int) -> None:
    rows = [row for front in fronts.fronts for row in _rows(front, max_rank)]
    names = dict.fromkeys(name for front in fronts.fronts for name in front.names)
    columns = ["run_id", "pareto_rank", "scaffold_id", *names, *_knee_column(rows)]
    print_table(_title("scaffolds", max_rank), columns, rows[:limit], "no scaffold has a rank")
    _print_cut(len(rows), limit)
    if len(fronts.fronts) == 1:
        typer.echo()
        print_facts("The front", _facts(fronts.fronts[0]))
    if fronts.saved is not None:
        typer.echo(f"stored: {fronts.saved:,} of {_looked_at(fronts):,} scaffolds changed rank")
    _print_missing("scaffold", fronts.missing)
    for run_id, reason in fronts.skipped.items():
        typer.echo(one_line(f"not looked at: the scaffolds of {run_id}; {reason}"), err=True)


def _knee_column(rows: list[dict[str, Any]]) -> list[str]:
    return ["knee"] if any(row["knee"] for row in rows) else []


def _title(what: str, max_rank: int) -> str:
    return (
        f"The Pareto front of {what}" if max_rank == 1 else f"The best {max_rank} ranks of {what}"
    )


def _rows(front: ParetoFront[Any], max_rank: int) -> Iterator[dict[str, Any]]:
    scores = front.scores.tolist()
    listed = [place for place, rank in enumerate(front.ranks.values()) if rank <= max_rank]
    items = list(front.ranks)
    for place in sorted(listed, key=lambda one: front.ranks[items[one]]):
        item = items[place]
        run_id, *scaffold = (item,) if isinstance(item, str) else item
        yield {
            **dict(zip(front.names, scores[place], strict=True)),
            "pareto_rank": front.ranks[item],
            "run_id": run_id,
            "scaffold_id": scaffold[0] if scaffold else None,
            "knee": "knee" if item == front.knee else "",
        }


def _facts(front: ParetoFront[Any]) -> dict[str, Any]:
    volume = front.hypervolume
    reference = ", ".join(
        f"{name} {cell(score)}" for name, score in zip(front.names, volume.reference, strict=True)
    )
    about = "" if volume.is_exact else " (approximated)"
    return {
        "ranked": f"{len(front.ranks):,}, {len(front.front):,} of them on the front",
        "directions": ", ".join(
            f"{word} {name}" for name, word in zip(front.names, front.directions, strict=True)
        ),
        "hypervolume": f"{cell(volume.volume)}{about}, {volume.share:.1%} of the box",
        "reference": reference,
        "knee": "none" if front.knee is None else _shown(front.knee),
    }


def _print_cut(rows: int, limit: int) -> None:
    if rows > limit:
        typer.echo(f"{rows - limit:,} more are not shown; --limit {rows} shows all", err=True)


def _print_missing(what: str, missing: Any) -> None:
    if not missing:
        return
    named = [f"{_shown(item)} ({', '.join(names)})" for item, names in missing.items()][:_NAMED]
    more = f" and {len(missing) - len(named):,} more" if len(missing) > len(named) else ""
    typer.echo(
        one_line(f"without a rank, for lack of a finite score: {what} {', '.join(named)}{more}"),
        err=True,
    )


def _looked_at(fronts: ScaffoldFronts) -> int:
    return sum(len(front.ranks) + len(front.missing) for front in fronts.fronts)


def _shown(item: str | tuple[str, str]) -> str:
    return item if isinstance(item, str) else " of run ".join(reversed(item))
