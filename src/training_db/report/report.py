"""Reports: a page about a run, a comparison or a project, as HTML or markdown."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from training_db.counts import counted
from training_db.errors import InvalidValue, NotFound, RunNotFound, UnknownName
from training_db.report.html import as_html
from training_db.report.markdown import as_markdown
from training_db.report.wording import moment
from training_db.timestamps import format_timestamp, now
from training_db.whole_file import write_whole

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from training_db.database import TrainingDB
    from training_db.report.document import Page
    from training_db.repository.filters import Filter

Kind = Literal["run", "comparison", "project"]
Format = Literal["html", "markdown"]
FEWEST_COMPARED, MOST_COMPARED = 2, 20
_COMPARED_UNASKED = 10
_MARKDOWN = {".md", ".markdown"}


@dataclass(frozen=True, slots=True)
class Report:
    """A page about runs.

    Attributes:
        page: What it holds.
        runs: How many runs it is about.
        footer: When and by what it was made.
    """

    page: Page
    runs: int
    footer: str

    def html(self) -> str:
        """Return it as one HTML document that loads nothing from anywhere."""
        return as_html(self.page, self.footer)

    def markdown(self) -> str:
        """Return it as markdown, its curves as lines of block characters."""
        return as_markdown(self.page, self.footer)


def make_report(
    db: TrainingDB,
    filters: Mapping[str, Any] | str | Filter | None = None,
    *,
    run_ids: Sequence[str] | None = None,
    kind: Kind | None = None,
    title: str | None = None,
) -> Report:
    """Make a report of the runs that match.

    Args:
        db: The database.
        filters: Which runs, as for ``db.runs.query``; ``None`` for all.
        run_ids: These runs, instead of a filter.
        kind: ``"run"`` for one run, ``"comparison"`` for 2 to 20, ``"project"`` for any number;
            ``None`` for what suits: a comparison up to 10 runs, a project from there on.
        title: Its heading; ``None`` for one made of the runs' names.

    Raises:
        NotFound: No run matches, or one that was named is not there.
        InvalidInput: A filter that cannot be used, or a kind that does not suit so many runs.
        MissingExtra: A package of the extra ``analysis`` is not installed.

    Example:
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("r1", run_name="the first")
        >>> report = make_report(db)
        >>> report.page.kind, report.page.title, report.runs
        ('run', 'the first', 1)
    """
    from training_db.report.pages.comparison import comparison_page
    from training_db.report.pages.project import project_page
    from training_db.report.pages.run import run_page

    if filters and run_ids is not None:
        raise InvalidValue("a report takes a filter or the ids of runs, not both")
    among = filters if run_ids is None else {"run_id": list(run_ids)}
    count = db.runs.count(among)
    if run_ids is not None:
        _require(db, run_ids)
    elif not count:
        if not filters:
            raise NotFound("there are no runs to report on yet")
        raise NotFound("no run matches; `training-db runs list` shows the runs there are")
    chosen = _chosen(kind, count)
    if chosen == "project":
        page = project_page(db, among, title)
    else:
        found = db.runs.ids(among) if run_ids is None else list(dict.fromkeys(run_ids))
        page = (
            run_page(db, found[0], title) if chosen == "run" else comparison_page(db, found, title)
        )
    return Report(page, count, _footer(count, filters if isinstance(filters, str) else ""))


def write_report(
    db: TrainingDB,
    path: str | os.PathLike[str],
    filters: Mapping[str, Any] | str | Filter | None = None,
    *,
    file_format: Format | None = None,
    **options: Any,
) -> Report:
    """Make a report and write it to a file, whole or not at all.

    Args:
        db: The database.
        path: The file; one that is there is replaced.
        filters: Which runs, as for ``db.runs.query``; ``None`` for all.
        file_format: ``"html"`` or ``"markdown"``; ``None`` for what the file's name says: markdown
            where it ends in ``.md``, and HTML otherwise.
        options: As for :func:`make_report`.

    Returns:
        The report.

    Raises:
        OSError: The file cannot be written.

    Example:
        >>> db = getfixture("example_db")
        >>> _ = db.runs.insert("r1", run_name="the first")
        >>> path = getfixture("tmp_path") / "report.md"
        >>> _ = write_report(db, path)
        >>> path.read_text().splitlines()[0]
        '# the first'
    """
    chosen = format_of(path) if file_format is None else file_format
    if chosen not in get_args(Format):
        raise UnknownName("format", chosen, get_args(Format))
    report = make_report(db, filters, **options)
    write_whole(Path(path), report.markdown() if chosen == "markdown" else report.html())
    return report


def format_of(path: str | os.PathLike[str]) -> Format:
    """Return the format that a file's name says.

    Example:
        >>> format_of("report.md"), format_of("report.html"), format_of("report")
        ('markdown', 'html', 'html')
    """
    return "markdown" if Path(path).suffix.lower() in _MARKDOWN else "html"


def _require(db: TrainingDB, run_ids: Sequence[str]) -> None:
    there = set(db.runs.ids({"run_id": list(run_ids)}))
    for run_id in run_ids:
        if run_id not in there:
            if db.runs.find(run_id) is None:
                raise RunNotFound(run_id)
            raise NotFound(f"run {run_id!r} was deleted; `training-db runs restore` brings it back")
    if not run_ids:
        raise InvalidValue("name at least one run, or leave run_ids out for all")


def _chosen(kind: str | None, count: int) -> str:
    if kind is None:
        return "run" if count == 1 else "comparison" if count <= _COMPARED_UNASKED else "project"
    if kind not in get_args(Kind):
        raise UnknownName("kind of report", kind, get_args(Kind))
    if kind == "run" and count != 1:
        raise InvalidValue(f"a report of one run was asked for, and {counted(count, 'run')} match")
    if kind == "comparison" and not FEWEST_COMPARED <= count <= MOST_COMPARED:
        verb = "matches" if count == 1 else "match"
        raise InvalidValue(
            f"a comparison is of {FEWEST_COMPARED} to {MOST_COMPARED} runs, and "
            f"{counted(count, 'run')} {verb}"
        )
    return kind


def _footer(count: int, filter_text: str) -> str:
    which = f" that match {filter_text}" if filter_text.strip() else ""
    made = f"Made on {moment(format_timestamp(now()))} by training-db {version('training-db')}"
    return f"{made}, of {counted(count, 'run')}{which}."
