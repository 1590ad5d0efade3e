"""Tags: words that people pin to runs, with a value or without."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select

from training_db.db.engine import upsert
from training_db.errors import InvalidValue
from training_db.models import run_tags
from training_db.repository.base import Repository, run_number

if TYPE_CHECKING:
    from collections.abc import Iterable

_TAG = run_tags.c


class TagRepository(Repository):
    """The tags of a database's runs, as ``db.tags``."""

    def add(self, run_id: str, name: str, value: str | None = None) -> None:
        """Pin a tag to a run; a run has one value a name, the newest.

        Args:
            run_id: The run.
            name: The tag, at most 1,000 bytes.
            value: Its value, likewise; ``None`` for a tag that is a word and no more.

        Raises:
            RunNotFound: There is no such run.
            InvalidValue: A name or value that cannot be stored.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r1")
            >>> db.tags.add("r1", "keep")
            >>> db.tags.add("r1", "paper", "figure 2")
            >>> db.tags.of("r1")
            {'keep': None, 'paper': 'figure 2'}
            >>> [run["run_id"] for run in db.runs.query("tag.paper = 'figure 2'")]
            ['r1']
        """
        self._add(run_id, [(name, value)])

    def add_many(self, run_id: str, tags: Mapping[str, str | None]) -> None:
        """Pin tags to a run: all of them, or none.

        Args:
            run_id: The run.
            tags: Their names and values, as for :meth:`add`.

        Raises:
            RunNotFound: There is no such run.
            InvalidValue: A name or value that cannot be stored.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r3")
            >>> db.tags.add_many("r3", {"keep": None, "paper": "figure 2"})
            >>> db.tags.of("r3")
            {'keep': None, 'paper': 'figure 2'}
        """
        if not isinstance(tags, Mapping):
            raise InvalidValue(f"{tags!r} is no mapping of tags to values; pass {{'keep': None}}")
        self._add(run_id, [(name, tags[name]) for name in tags])

    def _add(self, run_id: str, tags: Iterable[tuple[Any, Any]]) -> None:
        from training_db.records import TagFields, checked

        rows = [checked(TagFields, {"name": name, "value": value}) for name, value in tags]
        with self._transactions(writes=True) as connection:
            number = {"run_number": run_number(connection, run_id)}
            upsert(connection, run_tags, ("run_number", "name"), [row | number for row in rows])

    def remove(self, run_id: str, name: str) -> bool:
        """Take a tag off a run.

        Returns:
            Whether it was there.

        Raises:
            RunNotFound: There is no such run.
        """
        from training_db.records import TagFields, checked

        asked = checked(TagFields, {"name": name})["name"]
        with self._transactions(writes=True) as connection:
            number = run_number(connection, run_id)
            statement = delete(run_tags).where(_TAG.run_number == number, _TAG.name == asked)
            return connection.execute(statement).rowcount > 0

    def of(self, run_id: str) -> dict[str, str | None]:
        """Return the tags of a run and their values, by name.

        Raises:
            RunNotFound: There is no such run.
        """
        statement = select(_TAG.name, _TAG.value).order_by(_TAG.name)
        with self._transactions(writes=False) as connection:
            number = run_number(connection, run_id)
            rows = connection.execute(statement.where(_TAG.run_number == number))
            return {row.name: row.value for row in rows}
