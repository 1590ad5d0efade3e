"""What was measured, as tables in docs/scaling.md and as figures beside it."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docs.generate_picture import photograph

from benchmarks.scale.growth import exponent
from training_db.report.palette import line_style, look

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.scale.measuring import Figure

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "scaling.md"
PICTURES = ROOT / "docs" / "img"
KINDS = {"read": "Reading", "write": "Writing"}
_BACKENDS = ("SQLite", "PostgreSQL")


def write_page(figures: Sequence[Figure]) -> None:
    """Put the tables into the page, and draw the pictures anew."""
    text = PAGE.read_text(encoding="utf-8")
    for kind in ("read", "write", "upkeep", "crowd"):
        text = _replaced(text, kind, "\n".join(_table([f for f in figures if f.kind == kind])))
    PAGE.write_text(text, encoding="utf-8")
    for kind, title in KINDS.items():
        draw([f for f in figures if f.kind == kind], title, PICTURES / f"scaling-{kind}.png")


def _replaced(text: str, name: str, table: str) -> str:
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    return pattern.sub(lambda _: f"{begin}\n{table}\n{end}", text)


def _table(figures: Sequence[Figure]) -> Iterable[str]:
    sizes = sorted({figure.size for figure in figures})
    yield "| what | backend | " + " | ".join(f"{size:,}" for size in sizes) + " | grows as |"
    yield "|---|---|" + "---:|" * (len(sizes) + 1)
    for name in dict.fromkeys(figure.name for figure in figures):
        for backend in _BACKENDS:
            found = {f.size: f for f in figures if f.name == name and f.backend == backend}
            if found:
                cells = [_cell(found[size]) if size in found else "" for size in sizes]
                yield f"| {name} | {backend} | {' | '.join(cells)} | {_growth(found)} |"


def _cell(figure: Figure) -> str:
    if figure.unit == "bytes":
        return f"{figure.value / 1e6:,.0f} MB"
    if figure.unit == "1/s":
        return f"{figure.value:,.0f}/s"
    return f"{figure.value * 1e3:,.3g} ms" if figure.value < 1 else f"{figure.value:,.3g} s"


def _growth(found: dict[int, Figure]) -> str:
    if len(found) < 2:
        return ""
    return f"n^{exponent([*found], [one.value for one in found.values()]):.2f}"


def draw(figures: Sequence[Figure], title: str, picture: Path) -> None:
    """Draw milliseconds over runs, both on logarithmic axes, a panel for each backend."""
    from plotly.subplots import make_subplots

    drawn: Any = make_subplots(
        1, 2, shared_yaxes=True, subplot_titles=_BACKENDS, horizontal_spacing=0.04
    )
    names = list(dict.fromkeys(figure.name for figure in figures))
    for place, name in enumerate(names):
        colour, dash = line_style(place)
        for panel, backend in enumerate(_BACKENDS, start=1):
            found = [f for f in figures if f.name == name and f.backend == backend]
            drawn.add_scatter(
                x=[f.size for f in found],
                y=[f.value * 1e3 for f in found],
                name=name,
                mode="lines+markers",
                line={"color": colour, "dash": dash},
                legendgroup=name,
                showlegend=panel == 1,
                row=1,
                col=panel,
            )
    drawn.update_xaxes(type="log", title_text="runs", dtick=1)
    drawn.update_yaxes(type="log", dtick=1)
    drawn.update_yaxes(title_text="milliseconds", row=1, col=1)
    drawn.update_layout(
        template=look(), width=1180, height=640,
        title={"text": f"{title}: medians over the number of runs"},
        margin={"t": 90, "l": 16, "r": 16, "b": 16},
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "figure.html"
        drawn.write_html(page, config={"displayModeBar": False})
        photograph(page, picture, "1200,680")
