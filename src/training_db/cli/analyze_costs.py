"""``training-db analyze costs`` and ``unposted``: what runs took, and what was not written up."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path  # noqa: TC003 - typer reads it
from typing import Annotated, Any

import typer

from training_db.cli.output import (
    FilterArgument,
    FilterOption,
    Json,
    Url,
    chosen_filter,
    minute,
    one_line,
    print_json,
    print_table,
)
from training_db.errors import InvalidValue, UnreadableSource

_HOW = "write a type and what an hour costs, with a decimal point, as p4d.24xlarge,32.77"


def register(app: typer.Typer) -> None:
    """Add the commands to those of analyses."""
    app.command()(costs)
    app.command()(unposted)


def costs(
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    prices: Annotated[
        Path | None,
        typer.Option(
            "--prices",
            metavar="FILE",
            help="What an hour of each instance type costs: CSV of a type and a price a line, as "
            "p4d.24xlarge,32.77, or a JSON object.",
            show_default="hours only",
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="FIELD",
            help="Where a run says its instance type: a column, config.PATH, summary.KEY or "
            "tag.NAME; repeated, the first that a run has counts.",
            show_default="tag.instance_type, config.instance_type and the like",
        ),
    ] = None,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """Add up compute hours and what they cost, by instance type.

    A run that has not ended counts until now, or until its last heartbeat where that has stopped.
    Types without a price are listed with their hours.
    """
    from training_db.database import TrainingDB

    table = {} if prices is None else read_prices(prices)
    with TrainingDB(url) as db:
        asked = {"by": by} if by else {}
        found = db.analysis.costs(table, chosen_filter(filter_text, filter_option), **asked)
    known = {str(one.instance_type) for one in found.types if one.instance_type is not None}
    if by and found.types and not known:
        typer.echo(one_line(f"no run that matches has {' or '.join(by)}"), err=True)
    if unmatched := [name for name in table if name not in known]:
        listed = ", ".join(unmatched)
        typer.echo(one_line(f"no run that matches is of these priced types: {listed}"), err=True)
    if as_json:
        print_json(found.as_dict())
        return
    columns = ("instance_type", "runs", "running", "unknown", "hours", "price", "cost")
    rows = found.as_dict()["types"]
    print_table("Hours and costs by instance type", columns, rows, "no run matches")
    typer.echo()
    total = f"{found.hours:,.2f} hours in all"
    if table:
        total += f", cost {found.cost:,.2f}; {found.unpriced_hours:,.2f} hours have no price"
    typer.echo(total)


def unposted(
    filter_text: FilterArgument = None,
    filter_option: FilterOption = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many runs.")] = 200,
    url: Url = None,
    as_json: Json = False,
) -> None:
    """List the runs that no blog post was attached to, newest first."""
    from training_db.database import TrainingDB

    with TrainingDB(url) as db:
        filters = chosen_filter(filter_text, filter_option)
        runs = db.analysis.without_blog_post(filters)
        matches = bool(runs or db.runs.ids(filters))
    if as_json:
        print_json(runs[:limit])
        return
    rows = [run | {"ended_at": minute(run["ended_at"])} for run in runs[:limit]]
    columns = ("number", "run_id", "run_name", "status", "ended_at")
    empty = "every run that matches has one" if matches else "no run matches"
    print_table(f"{len(runs)} runs without a blog post", columns, rows, empty)
    if len(runs) > limit:
        typer.echo(f"and {len(runs) - limit:,} more; --limit shows them", err=True)


def read_prices(path: Path) -> dict[str, Any]:
    r"""Read a file of prices.

    Args:
        path: A JSON object of types and prices, or CSV of both, with a heading or without. A first
            line is a heading where it has no number for a price, and a line that has one follows.

    Raises:
        UnreadableSource: It is neither.
        InvalidValue: It has no prices, a line that is none, or two of one type.

    Example:
        >>> path = getfixture("tmp_path") / "prices.csv"
        >>> _ = path.write_text("instance_type,price\np4d.24xlarge,32.77\n")
        >>> read_prices(path)
        {'p4d.24xlarge': 32.77}
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableSource(f"the prices {path} cannot be read: {error}") from None
    prices = _of_json(path, text) if text.lstrip().startswith("{") else _of_lines(path, text)
    if not prices:
        raise InvalidValue(f"there are no prices in {path}; {_HOW}")
    return prices


def _of_json(path: Path, text: str) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        for name in names:
            if names.count(name) > 1:
                raise InvalidValue(f"the prices {path} have {name!r} twice; name each type once")
        return dict(pairs)

    try:
        return dict(json.loads(text, object_pairs_hook=once))
    except InvalidValue:
        raise
    except (ValueError, RecursionError) as error:
        raise UnreadableSource(f"the prices {path} are no JSON: {error}") from None


def _of_lines(path: Path, text: str) -> dict[str, float]:
    reader = csv.reader(text.splitlines())
    try:
        lines = [(reader.line_num, line) for line in reader if any(map(str.strip, line))]
    except csv.Error as error:
        raise UnreadableSource(f"the prices {path} are no CSV: {error}") from None
    if lines and _is_heading(lines[0][1]) and any(_is_priced(line) for _, line in lines[1:]):
        del lines[0]
    prices: dict[str, float] = {}
    for number, line in lines:
        name = line[0].strip()
        where = f"line {number} of the prices {path} is {','.join(line)[:80]!r}"
        try:
            price = _price(line)
        except ValueError as error:
            raise InvalidValue(one_line(f"{where}: {error}; {_HOW}")) from None
        if name in prices:
            raise InvalidValue(one_line(f"{where}: {name!r} has a price already; name it once"))
        prices[name] = price
    return prices


def _is_heading(line: list[str]) -> bool:
    try:
        float(line[1])
    except IndexError:
        return False
    except ValueError:
        return not re.match(r"\W*\d", line[1])  # that would be a price with a slip in it
    return False


def _is_priced(line: list[str]) -> bool:
    try:
        _price(line)
    except ValueError:
        return False
    return True


def _price(line: list[str]) -> float:
    """Return the price on a line.

    Raises:
        ValueError: It holds none; the text says why.
    """
    name, price, behind = ([cell.strip() for cell in line] + ["", ""])[:3]
    if ";" in name + price:
        raise ValueError("it has a semicolon")
    if not name or not price:
        raise ValueError("it has no type" if price else "it has no price")
    if price.isdigit() and behind.isdigit():
        raise ValueError(f"'{price},{behind}' may be one number or two")
    try:
        number = float(price)
    except ValueError:
        raise ValueError(f"the price {price!r} is no number") from None
    if not 0 <= number < math.inf:
        raise ValueError(f"the price {price!r} is no number from 0 on")
    return number
