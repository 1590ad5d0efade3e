"""What a page holds, before it is HTML or markdown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Page:
    """A page about a run, a comparison or a project.

    Attributes:
        kind: ``"run"``, ``"comparison"`` or ``"project"``.
        title: Its heading.
        facts: What stands small beneath the heading.
        tiles: The few figures that stand large at the top.
        sections: The rest, in order.
        status: The status of the run that the page is about; nothing for several.
    """

    kind: str
    title: str
    facts: Sequence[Cell] = ()
    tiles: Sequence[Tile] = ()
    sections: Sequence[Section] = ()
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page under a heading of its own."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure that stands large, such as how long a run took."""

    label: str
    value: Cell
    note: str = ""


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str
    kind: ClassVar[str] = "text"


@dataclass(frozen=True, slots=True)
class Point:
    """A finding, and how grave it is.

    Attributes:
        severity: ``"error"``, ``"warning"`` or ``"info"``.
        sentence: The finding with its numbers.
        about: Of which run, where there are several.
    """

    severity: Severity
    sentence: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Points:
    """A list of findings.

    Attributes:
        points: The findings.
        empty: What is said where there are none.
        folded: In which words they are shown only when somebody asks for them.
    """

    points: Sequence[Point]
    empty: str = "Nothing stands out."
    folded: str = ""
    kind: ClassVar[str] = "points"


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first column names its rows.

    Attributes:
        caption: What it shows.
        columns: The headings.
        rows: A cell a column each.
        note: What is said beneath it, such as what was left out.
        folded: Whether it is shown only when somebody asks for it.
        beside: Whether it may stand beside the figure before it, where there is room.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    folded: bool = False
    beside: bool = False
    kind: ClassVar[str] = "table"

    def is_number(self, column: int) -> bool:
        """Tell whether a column holds numbers, which stand under each other by their last digit."""
        cells = [row[column] for row in self.rows if row[column] is not None]
        return bool(cells) and all(isinstance(cell, _NUMBERS) for cell in cells)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure, and what stands in for it where none can be drawn.

    Attributes:
        title: What it shows, in a few words.
        figure: A ``plotly.graph_objects.Figure``.
        sentence: What is to be seen in it, for those who do not see it.
        curves: The curves in it, for a page that can only hold text.
        is_wide: Whether it needs the whole width of a page.
    """

    title: str
    figure: Any
    sentence: str = ""
    curves: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    is_wide: bool = False
    kind: ClassVar[str] = "figure"


@dataclass(frozen=True, slots=True)
class Status:
    """The status of a run."""

    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """A name that people type, such as that of a metric."""

    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """Words that lead to a page on the web; only words where ``url`` is no such address."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Spark:
    """A curve as small as a word: "sparklines" are Tufte's, Beautiful Evidence, 2006."""

    values: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Share:
    """A part of one, in percent."""

    value: float


@dataclass(frozen=True, slots=True)
class Interval:
    """A number, and between which bounds it may as well lie."""

    value: float
    low: float | None
    high: float | None


Cell = str | float | bool | Status | Name | Link | Spark | Share | Interval | None
Block = Text | Points | Table | Figure
_NUMBERS = (int, float, Share, Interval)
