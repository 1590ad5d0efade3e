"""Pages as HTML that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from training_db.extras import load
from training_db.report import sparkline, wording
from training_db.report.document import Figure, Interval, Link, Name, Share, Spark, Status
from training_db.report.palette import BACKGROUND, FONT, GRID, MUTED, TEXT, dark_colours, look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training_db.report.document import Block, Cell, Page

_TEMPLATES = files("training_db.report") / "templates"
# As JSON escapes: a name in a figure can then neither end the script that holds it nor begin one.
_UNSAFE = {ord(one): f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"}
_WEB = ("http", "https")


def as_html(page: Page, footer: str = "") -> str:
    """Return a page as one HTML document that loads nothing.

    Args:
        page: The page.
        footer: What stands small at the end.

    Returns:
        The document. With figures in it, it holds plotly.js, some 5 MB, once. Its Content Security
        Policy lets it neither load anything nor run a script that is not its own, whatever the
        names of runs and metrics look like.

    Raises:
        MissingExtra: jinja2 or plotly is not installed.

    Example:
        >>> from training_db.report.document import Page
        >>> text = as_html(Page("run", "<script>alert(1)</script>"))
        >>> "<h1>&lt;script&gt;alert(1)&lt;/script&gt;</h1>" in text
        True
    """
    drawn = [
        block for section in page.sections for block in section.blocks if isinstance(block, Figure)
    ]
    scripts = [_plotly(), _asset("figures.js")] if drawn else []
    figures = {f"figure-{place}": _safe_json(_plain(block)) for place, block in enumerate(drawn)}
    if drawn:
        figures["looks"] = _safe_json(_looks())
    return str(
        _environment()
        .get_template("page.html.j2")
        .render(
            page=page,
            footer=footer,
            style=f"{_colours()}\n{_asset('page.css')}",
            scripts=scripts,
            policy=_policy(scripts),
            figures=figures,
            figure_ids={id(block): f"figure-{place}" for place, block in enumerate(drawn)},
            alone=_alone(page),
        )
    )


@cache
def _environment() -> Any:
    jinja2 = load("jinja2")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        finalize=_harmless,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cell": cell_text, "kind": kind_of, "polylines": _polylines, "identity": id,
    }  # fmt: skip
    environment.tests["web"] = is_web
    return environment


def _harmless(value: Any) -> Any:
    """Return text in which no character turns those after it around; markup stays as it is."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return "\n".join(map(wording.one_line, value.split("\n")))


def _alone(page: Page) -> set[int]:
    """Return the ids of the blocks that would stand beside another and have none there.

    Of an odd number of them that is the first, which matters most.
    """
    found = set()
    for section in page.sections:
        for is_narrow, blocks in groupby(section.blocks, key=_is_narrow):
            row = list(blocks)
            if is_narrow and len(row) % 2:
                found.add(id(row[0]))
    return found


def _is_narrow(block: Block) -> bool:
    return not block.is_wide if isinstance(block, Figure) else getattr(block, "beside", False)


def kind_of(cell: Cell) -> str:
    """Return what sort of cell it is, by which a template chooses how to write it."""
    match cell:
        case Status() | Name() | Link() | Spark() | Interval():
            return type(cell).__name__.lower()
    return "plain"


def cell_text(cell: Cell) -> str:
    """Return what a cell says, without how it looks.

    Example:
        >>> cell_text(0.51234), cell_text(Share(0.25)), cell_text(Interval(1.0, 0.5, 1.5))
        ('0.5123', '25 %', '1 (0.5 to 1.5)')
    """
    match cell:
        case Status() | Name() | Link():
            return wording.shortened(cell.text)
        case Share():
            return wording.share(cell.value)
        case Interval(value=value, low=None) | Interval(value=value, high=None):
            return wording.number(value)
        case Interval():
            bounds = f"{cell.low:.3g} to {cell.high:.3g}"
            return f"{wording.number(cell.value)} ({bounds})"
        case Spark():
            return sparkline.blocks(cell.values)
        case str():
            return wording.shortened(cell)
    return wording.number(cell)


def is_web(url: str) -> bool:
    """Tell whether an address is one that a page may lead to; ``javascript:`` is none.

    Example:
        >>> is_web("https://example.org/run"), is_web("javascript:alert(1)"), is_web("http://[")
        (True, False, False)
    """
    try:
        return urlsplit(url).scheme.lower() in _WEB
    except ValueError:
        return False


def _polylines(cell: Spark) -> list[str]:
    return sparkline.paths(cell.values)


def _plain(block: Figure) -> dict[str, Any]:
    """Return a figure without its look, of which a page has one for light and one for dark."""
    figure: dict[str, Any] = json.loads(block.figure.to_json())
    for name in ("template", "title", "meta"):  # the title stands above, where it can wrap
        figure["layout"].pop(name, None)
    return figure


def _looks() -> dict[str, Any]:
    """Return the two looks, and for each colour of a light figure that of a dark one."""
    templates = {"light": look(), "dark": look(dark=True)}
    return {
        **{name: json.loads(one.to_json()) for name, one in templates.items()},
        "colours": dict(dark_colours()),
    }


def _colours() -> str:
    """Return the colours of a page, which are those of the figures on it."""
    roles = {"paper": BACKGROUND, "ink": TEXT, "soft": MUTED, "line": GRID}
    light, dark = (
        "".join(f"--{name}:{role[mode]};" for name, role in roles.items())
        for mode in ("light", "dark")
    )
    at_night = "@media screen and (prefers-color-scheme:dark)"
    return f":root{{--sans:{FONT};{light}}}\n{at_night}{{:root{{{dark}}}}}"


def _safe_json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).translate(_UNSAFE)


def _plotly() -> str:
    """Return plotly.js as the installed package has it."""
    return str(load("plotly.offline").get_plotlyjs())


def _policy(scripts: Sequence[str]) -> str:
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'"
        for one in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes or chr(39) + 'none' + chr(39)}; "
        "style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")
