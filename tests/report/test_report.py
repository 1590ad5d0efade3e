"""Reports as files: one page that needs nothing else, in which no name can do anything."""

from __future__ import annotations

import json
import math
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from tests.report.trained import HOSTILE, insert_run, insert_runs
from training_db.cli.report import register
from training_db.errors import InvalidInput, InvalidValue, NotFound, RunNotFound, UnknownName
from training_db.report import sparkline
from training_db.report.document import (
    Figure,
    Interval,
    Link,
    Name,
    Page,
    Point,
    Points,
    Section,
    Share,
    Spark,
    Status,
    Table,
    Text,
    Tile,
)
from training_db.report.figures import curves
from training_db.report.html import as_html
from training_db.report.markdown import as_markdown, escaped
from training_db.report.report import make_report, write_report
from training_db.report.wording import duration, number
from training_db.repository.history_series import Series

if TYPE_CHECKING:
    from pathlib import Path

    from training_db import TrainingDB


class Read(HTMLParser):
    """What a browser would find in a page: its tags, and which of them load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "data", "action", "poster") or (
                name == "href" and tag != "a"
            ):
                self.loads.append(str(value))
            if name.startswith("on"):
                self.handlers.append(name)
            if name == "id":
                self.ids.append(str(value))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def hostile_page() -> Page:
    """A page in which every place that takes a name has one that would run."""
    lines = {HOSTILE: {HOSTILE: Series(np.arange(3), np.array([1.0, math.nan, 2.0]))}}
    table = Table(
        HOSTILE,
        [HOSTILE, "value", "more"],
        [
            [HOSTILE, Name(HOSTILE), Status(HOSTILE)],
            [Link(HOSTILE, "javascript:alert(1)"), Link("w", 'https://a.b/"><i>'), None],
            [Spark(np.array([1.0, 2.0])), Share(0.5), Interval(1.0, 0.5, 2.0)],
        ],
        HOSTILE,
    )
    points = Points([Point("error", HOSTILE, HOSTILE), Point("info", "fine")])
    blocks = [
        Text(HOSTILE), points, Points([], HOSTILE), Points([Point("info", "x")], folded=HOSTILE),
        table, Table(HOSTILE, ["a"], [[HOSTILE]], folded=True),
        Figure(HOSTILE, curves(lines, title=HOSTILE), HOSTILE, {HOSTILE: np.array([1.0])}),
    ]  # fmt: skip
    return Page(
        "run", HOSTILE, [HOSTILE], [Tile(HOSTILE, 1.0, HOSTILE)],
        [Section(HOSTILE, blocks), Section("two", [Text("x")])], Status(HOSTILE),
    )  # fmt: skip


@pytest.mark.usefixtures("without_plotly")
def test_no_name_can_become_a_tag_a_script_or_an_address() -> None:
    text = as_html(hostile_page(), HOSTILE)
    page = Read(text)
    assert "img" not in page.tags
    assert page.handlers == []
    assert "javascript:" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert page.tags.count("script") == 4  # the figure, the looks, plotly.js and ours
    assert text.count("</script") == 4
    # It is all there, as text.
    assert "".join(page.texts).count("window.broken = true") >= 15


@pytest.mark.usefixtures("without_plotly")
def test_a_page_loads_nothing_and_lets_nothing_load() -> None:
    text = as_html(hostile_page())
    page = Read(text)
    assert page.loads == []
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "default-src &#39;none&#39;" in policy[1]
    assert "unsafe-inline" not in policy[1].split("script-src")[1].split(";")[0]
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_a_page_without_figures_has_no_script() -> None:
    text = as_html(Page("run", "small", sections=[Section("one", [Text("x")])]))
    assert "<script" not in text
    assert "script-src &#39;none&#39;" in text
    assert len(text) < 20_000


def test_a_figure_stands_on_the_page_once_with_both_looks() -> None:
    text = as_html(hostile_page())
    assert text.count("plotly.js v") == 1
    data = re.findall(r'<script type="application/json" id="([^"]*)">(.*?)</script>', text)
    found = {name: json.loads(one) for name, one in data}
    assert sorted(found) == ["figure-0-data", "looks-data"]
    assert sorted(found["looks-data"]) == ["colours", "dark", "light"]
    assert not {"template", "title", "meta"} & found["figure-0-data"]["layout"].keys()


@pytest.mark.usefixtures("without_plotly")
def test_headings_and_captions_say_where_a_reader_is() -> None:
    page = Read(as_html(hostile_page()))
    assert page.tags.count("h1") == 1
    assert page.tags.count("h2") == 2
    assert page.tags.count("caption") == page.tags.count("table") == 2
    assert page.tags.count("figcaption") == 1
    assert len(page.ids) == len(set(page.ids))
    assert "section-1" in page.ids


def test_a_figure_without_a_neighbour_has_the_whole_width() -> None:
    def rows(*blocks: Any) -> list[str]:
        text = as_html(Page("run", "x", sections=[Section("one", blocks)]))
        found = re.findall(r'<(?:figure|div) class="((?:figure|table)[^"]*)"', text)
        return [one.partition(" ")[2] for one in found]

    def figure(*, is_wide: bool = False) -> Figure:
        return Figure("f", curves({}), is_wide=is_wide)

    def beside() -> Table:
        return Table("t", ["a"], [["b"]], beside=True)

    assert rows(figure()) == ["is-alone"]
    assert rows(figure(), figure()) == ["", ""]
    assert rows(figure(), figure(), figure()) == ["is-alone", "", ""]
    assert rows(figure(), figure(is_wide=True), beside()) == ["is-alone", "is-wide", ""]
    assert rows(figure(), beside()) == ["", "is-beside"]


def test_no_name_turns_the_words_after_it_around_and_notes_keep_their_lines() -> None:
    family = "\U0001f469\u200d\U0001f52c"
    page = Page("run", f"\u202ename {family}", sections=[Section("one", [Text("first\nsecond")])])
    text = as_html(page, "\x1b[31m")
    assert f"<h1> name {family}</h1>" in text
    assert "first\nsecond" in text
    assert not set("\u202e\x1b") & set(text)
    found = [Section("one", [Points([Point("info", "x", "\u202ename")])])]
    assert "- *name:* x" in as_markdown(Page("run", "x", sections=found))


def test_markdown_shows_names_as_they_are() -> None:
    text = as_markdown(hostile_page(), HOSTILE)
    assert "<" not in text.replace("\\<", "").replace("](<https://a.b/", "")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert widths <= {2, 4, 5}  # a folded table, three columns, a table of curves
    assert "https://a.b/" in text
    assert "javascript:" not in text
    assert "--format html" in text.replace("\\", "")


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a_b", "a_b"), ("__init__", "\\_\\_init\\_\\_"), ("2 * 3", "2 \\* 3"), ("- x", "\\- x"),
        ("1. x", "1\\. x"), ("&lt;", "\\&lt;"), ("a & b", "a & b"), ("a\nb", "a b"),
        ("[x](y)", "\\[x\\](y)"), ("$x$", "\\$x\\$"), ("", ""), ("---", "\\---"), ("-1.5", "-1.5"),
    ],
)  # fmt: skip
def test_markdown_is_escaped_only_where_it_would_mean_something(given: str, shown: str) -> None:
    assert escaped(given) == shown


def test_the_kind_of_a_page_goes_by_how_many_runs_match(lite: TrainingDB) -> None:
    for place in range(11):
        lite.runs.insert(f"r{place}", host="many" if place else "one")
    kinds = [
        make_report(lite, filters).page.kind
        for filters in ("host = 'one'", {"run_id": ["r1", "r2"]}, None)
    ]
    assert kinds == ["run", "comparison", "project"]
    assert make_report(lite, run_ids=["r2", "r1", "r2"]).page.title == "r2 · r1"
    assert make_report(lite, kind="comparison").page.title == "11 runs compared"
    assert make_report(lite, "host = 'one'", kind="project", title="Mine").page.title == "Mine"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kind": "run"}, InvalidValue, "one run was asked for, and 2 runs match"),
        ({"kind": "novel"}, UnknownName, "unknown kind of report 'novel'"),
        ({"filters": "host = 'x'"}, NotFound, "no run matches"),
        ({"filters": "host ="}, InvalidInput, "host"),
        ({"filters": "host = 'x'", "run_ids": ["a"]}, InvalidValue, "not both"),
        ({"run_ids": ["a", "nobody"]}, RunNotFound, "nobody"),
        ({"run_ids": ["a", "gone"]}, NotFound, "runs restore"),
        ({"run_ids": []}, InvalidValue, "at least one run"),
        ({"run_ids": ["a"], "kind": "comparison"}, InvalidValue, "1 run matches"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_a_report_that_cannot_be_made_says_why(
    lite: TrainingDB, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(NotFound, match="no runs to report on yet"):
        make_report(lite)
    for run_id in ("a", "b", "gone"):
        lite.runs.insert(run_id)
    lite.runs.delete("gone")
    with pytest.raises(error, match=message):
        make_report(lite, **options)


@pytest.mark.usefixtures("without_plotly")
def test_a_report_is_written_in_the_format_of_its_name(lite: TrainingDB, tmp_path: Path) -> None:
    insert_run(lite, "r1")
    for name, start in (("a.html", "<!doctype html>"), ("a.MD", "# run 0"), ("a", "<!doctype")):
        write_report(lite, tmp_path / name)
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)
    write_report(lite, tmp_path / "a", file_format="markdown")
    assert (tmp_path / "a").read_text(encoding="utf-8").startswith("# run 0")
    with pytest.raises(UnknownName, match="pdf"):
        write_report(lite, tmp_path / "a", file_format="pdf")  # type: ignore[arg-type]


@pytest.mark.usefixtures("without_plotly")
def test_whole_pages_keep_hostile_names_harmless(lite: TrainingDB) -> None:
    insert_run(
        lite, "r1", run_name=HOSTILE, host=HOSTILE, gradient_method=HOSTILE, notes=HOSTILE,
        config={HOSTILE: HOSTILE}, wandb_url="javascript:alert(1)",
    )  # fmt: skip
    insert_run(lite, "r2", 1, run_name=HOSTILE)
    lite.history.append("r1", {HOSTILE: [1.0, 2.0], "accuracy": [0.1, 0.2]})
    lite.objectives.insert("r1", HOSTILE, direction="maximize", raw_mean=0.5)
    lite.events.add("r1", HOSTILE, HOSTILE)
    lite.tags.add("r1", HOSTILE, HOSTILE)
    lite.scaffolds.insert("r1", [{"scaffold_id": HOSTILE, "scores": {"QED": 0.4, "SA": 1.5}}])
    reports = [
        make_report(lite, run_ids=["r1"]),
        make_report(lite),
        make_report(lite, kind="project"),
    ]
    for report in reports:
        page = Read(report.html())
        assert page.tags.count("img") == 0
        assert page.loads == page.handlers == []
        assert "<img" not in report.markdown().replace("\\<", "")
        assert "](<javascript" not in report.markdown()


def run_command(lite: TrainingDB, *arguments: str) -> Any:
    app = typer.Typer()
    register(app)
    url = lite.url.render_as_string(hide_password=False)
    return CliRunner().invoke(app, [*arguments, "--url", url])


@pytest.mark.usefixtures("without_plotly")
def test_the_command_writes_a_report(
    lite: TrainingDB, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert_runs(lite, 3)
    path = tmp_path / "out.md"
    done = run_command(lite, "host = 'gpu-0'", "-o", str(path), "--title", "Two")
    assert (done.exit_code, done.stdout) == (0, "")
    assert re.fullmatch(rf"wrote {path}: comparison, 2 runs, \d+ kB\n", done.stderr)
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# Two")
    assert "of 2 runs that match host = 'gpu-0'." in text
    done = run_command(lite, "--run", "1", "--run", "r2", "-o", "-", "--format", "markdown")
    assert done.stdout.startswith("# run 0 · run 2")
    monkeypatch.chdir(tmp_path)
    done = run_command(lite, "--run", "2")
    assert "report.html: run, 1 run, " in done.stderr
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


@pytest.mark.usefixtures("without_plotly")
def test_the_command_says_what_it_cannot_do(lite: TrainingDB, tmp_path: Path) -> None:
    insert_runs(lite, 2)
    both = run_command(lite, "host = 'x'", "--run", "1")
    assert (both.exit_code, "not both" in both.stderr) == (2, True)
    assert isinstance(run_command(lite, "host = 'x'").exception, NotFound)
    place = tmp_path / "nowhere" / "a.md"
    lost = run_command(lite, "-o", str(place))
    assert lost.exit_code == 1
    assert lost.stderr == f"training-db: {place} was not written: No such file or directory\n"


@pytest.mark.parametrize(
    ("values", "blocks", "stretches"),
    [
        ([], "", 0),
        ([math.nan, math.inf], "  ", 0),
        ([5.0], "▅", 1),
        ([0.0, 0.0], "▅▅", 1),
        ([1.0, math.nan, 2.0], "▁ █", 2),
        ([-1e308, 1e308], "▁█", 1),
        (["a", 1, 2.5], " ▁█", 1),
        ([10**400, 1.0, 2.0], " ▁█", 1),
        (np.r_[np.zeros(500), np.ones(500)], "▁" * 8 + "█" * 8, 1),
    ],
)
def test_a_small_curve_is_drawn_of_whatever_was_logged(
    values: Any, blocks: str, stretches: int
) -> None:
    array = np.array(values, dtype=object if any(isinstance(v, str) for v in values) else None)
    assert sparkline.blocks(array) == blocks
    assert len(sparkline.paths(array)) == stretches


def test_numbers_are_said_shortly_whatever_they_are() -> None:
    assert [number(one) for one in (True, 10**15, -(10**20), math.nan, 1e300, 1234567.0)] == [
        "yes", "about 10^15", "-about 10^20", "NaN", "1e+300", "1.235e+06",
    ]  # fmt: skip
    assert [duration(one) for one in (-5, 59.6, math.inf, 10**9)] == [
        "-5 s", "1 min", "—", "11,574 d 1 h",
    ]  # fmt: skip
