"""Pages as markdown, as GitHub and most others read it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from training_db.report import sparkline
from training_db.report.document import Figure, Link, Name, Points, Spark, Status, Table, Text
from training_db.report.html import cell_text, is_web
from training_db.report.wording import number, one_line
from training_db.segments import numbers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from training_db.report.document import Block, Cell, Page

# What begins a thing of markdown or HTML, wherever it stands; underscores do so at a word's edge.
_SPECIAL = re.compile(r"([\\`*{}\[\]<>|~$])|(?<![^\W_])(_)|(_)(?![^\W_])|(&)(?=#?\w+;)")
_AT_START = re.compile(r"^(\s*)([#+=-]|\d+[.)])(?=\s|$|[-=]+$)")
_MARKS = {"error": "**Error:** ", "warning": "**Warning:** ", "info": ""}
_NO_PICTURES = (
    "Markdown holds no drawings: curves stand in it as lines of blocks, from the lowest value to "
    "the highest of each; `--format html` draws them."
)


def as_markdown(page: Page, footer: str = "") -> str:
    r"""Return a page as markdown.

    Args:
        page: The page.
        footer: What stands at the end.

    Returns:
        Markdown with tables of GitHub's kind. Names cannot break out of their cells, nor be read
        as HTML.

    Example:
        >>> from training_db.report.document import Page, Section
        >>> page = Page("run", "a|b", sections=[Section("Findings", [Text("Nothing.")])])
        >>> print(as_markdown(page))
        # a\|b
        <BLANKLINE>
        ## Findings
        <BLANKLINE>
        Nothing.
        <BLANKLINE>
    """
    parts = [f"# {escaped(page.title)}"]
    facts = [*([page.status] if page.status else []), *page.facts]
    if facts:
        parts.append(" · ".join(_cell(one) for one in facts))
    if page.tiles:
        rows = [[escaped(one.label), _cell(one.value), escaped(one.note)] for one in page.tiles]
        parts.append(_grid(["Figure", "Value", ""], rows, [False, True, False]))
    drawn = False
    for section in page.sections:
        parts.append(f"## {escaped(section.title)}")
        parts += filter(None, map(_block, section.blocks))
        drawn = drawn or any(isinstance(block, Figure) for block in section.blocks)
    parts += [text for text in (_NO_PICTURES if drawn else "", escaped(footer)) if text]
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    r"""Return text that markdown shows as it is, in one line.

    Example:
        >>> escaped("a|b"), escaped("final_loss"), escaped("_step"), escaped("<b>"), escaped("# 1")
        ('a\\|b', 'final_loss', '\\_step', '\\<b\\>', '\\# 1')
    """
    line = _SPECIAL.sub(r"\\\g<0>", one_line(text))
    return _AT_START.sub(_begun, line)


def _begun(found: re.Match[str]) -> str:
    mark = found[2]
    return found[1] + (f"{mark[:-1]}\\{mark[-1]}" if mark[0].isdigit() else f"\\{mark}")


def _block(block: Block) -> str:
    match block:
        case Text():
            return "\n\n".join(escaped(line) for line in block.text.splitlines() if line.strip())
        case Points():
            return "\n".join(_points(block)) if block.points else escaped(block.empty)
        case Table():
            return _table(block)
        case Figure():
            return _figure(block)


def _points(block: Points) -> Iterator[str]:
    for one in block.points:
        about = f"*{escaped(one.about).strip()}:* " if one.about else ""
        yield f"- {_MARKS[one.severity]}{about}{escaped(one.sentence)}"


def _table(table: Table) -> str:
    right = [table.is_number(place) for place in range(len(table.columns))]
    rows = [[_cell(one) for one in row] for row in table.rows]
    parts = [f"**{escaped(table.caption)}**", _grid(map(escaped, table.columns), rows, right)]
    return "\n\n".join([*parts, escaped(table.note)] if table.note else parts)


def _figure(block: Figure) -> str:
    parts = [f"**{escaped(block.title)}**"]
    if block.sentence:
        parts.append(escaped(block.sentence))
    rows = [[escaped(name), *_ends(values)] for name, values in block.curves.items()]
    if rows:
        parts.append(_grid(["Curve", "", "First", "Last"], rows, [False, False, True, True]))
    return "\n\n".join(parts)


def _ends(values: Any) -> list[str]:
    floats = numbers(np.asarray(values))
    ends = [number(float(floats[place])) if len(floats) else "" for place in (0, -1)]
    return [f"`{sparkline.blocks(floats)}`", *ends]


def _cell(one: Cell) -> str:
    match one:
        case Link() if is_web(one.url):
            address = re.sub(r"[\s<>|\\]", lambda found: f"%{ord(found[0]):02X}", one.url)
            return f"[{escaped(cell_text(one))}](<{address}>)"
        case Spark():
            drawn = cell_text(one)
            return f"`{drawn}`" if drawn.strip() else ""
        case Name() | Status() | Link() | str():
            return escaped(cell_text(one))
    return cell_text(one)


def _grid(columns: Iterable[str], rows: Iterable[list[str]], right: list[bool]) -> str:
    rule = ["---:" if one else "---" for one in right]
    lines = [list(columns), rule, *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
