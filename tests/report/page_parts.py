"""Parts of a page, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training_db.report.document import Figure, Points, Table, Text
from training_db.report.html import cell_text

if TYPE_CHECKING:
    from training_db.report.document import Page, Section


def section(page: Page, title: str) -> Section:
    (found,) = [one for one in page.sections if one.title == title]
    return found


def tables(one: Section) -> dict[str, Table]:
    return {block.caption: block for block in one.blocks if isinstance(block, Table)}


def figures(one: Section) -> dict[str, Figure]:
    return {block.title: block for block in one.blocks if isinstance(block, Figure)}


def sentences(one: Section) -> str:
    said = []
    for block in one.blocks:
        if isinstance(block, Points):
            said += [f"{point.about}: {point.sentence}" for point in block.points] or [block.empty]
        elif isinstance(block, Text):
            said.append(block.text)
    return "\n".join(said)


def column(table: Table, name: str) -> list[str]:
    place = list(table.columns).index(name)
    return [cell_text(row[place]) for row in table.rows]


def tile(page: Page, label: str) -> str:
    (found,) = [one for one in page.tiles if one.label == label]
    return f"{cell_text(found.value)} {found.note}".strip()
