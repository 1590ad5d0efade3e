"""Runs inserted, changed, thrown away and brought back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import case, insert, null, select, type_coerce, update

from training_db.db.engine import bulk_insert
from training_db.errors import Conflict, InvalidValue, RunExists, RunNotFound
from training_db.extraction import RULES, ExtractionRules
from training_db.models import run_objectives, training_runs
from training_db.models.types import Timestamp, utc_now
from training_db.repository import reaping
from training_db.repository.base import require_run, run_key
from training_db.repository.objectives import upsert_objectives
from training_db.repository.run_queries import RunQueries
from training_db.timestamps import now, parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

    from sqlalchemy import ColumnElement, Connection

    from training_db.db.session import Transactions

_BATCH = 1_000


class RunRepository(RunQueries):
    """The runs of a database, as ``db.runs``.

    Args:
        transactions: Where each method gets its connection from.
        rules: Where the columns of a run are found in its config and summary.
    """

    def __init__(self, transactions: Transactions, rules: ExtractionRules = RULES) -> None:
        super().__init__(transactions)
        self._rules = rules

    def insert(
        self,
        run_id: str,
        wandb_run_id: str | None = None,
        config: Any = None,
        *,
        summary: Any = None,
        **fields: Any,
    ) -> str:
        """Record that a run was launched.

        Args:
            run_id: Its id, at most 1,000 bytes.
            wandb_run_id: Its id at W&B.
            config: Its config: a mapping, ``Namespace``, dataclass or JSON text. Columns and
                objectives are filled from it by the extraction rules.
            summary: Its final metrics, if it has any yet.
            fields: Columns of ``training_runs``; they win over what the config says.

        Returns:
            The run's id.

        Raises:
            RunExists: There is a run with this id or this W&B id.
            InvalidValue: A value that cannot be stored.
            UnknownName: A column or status that does not exist.

        Example:
            >>> db = getfixture("example_db")
            >>> db.runs.insert("r1", config={"training": {"learning_rate": 3e-4}})
            'r1'
            >>> db.runs.get("r1")["learning_rate"]
            0.0003
        """
        from training_db.repository.run_rows import new_run, without_history

        given = {"run_id": run_id, "wandb_run_id": wandb_run_id, "config": config}
        row, objectives = new_run(given | {"summary": summary} | fields, self._rules, now())
        row, history = without_history(row)
        with self._transactions(writes=True) as connection:
            try:
                connection.execute(insert(training_runs), row)
            except Conflict:
                same = f", or one with the W&B id {wandb_run_id!r}" if wandb_run_id else ""
                raise RunExists(
                    f"there is a run {run_id!r} already{same}; "
                    "take another id, or change that run with update_run_status"
                ) from None
            upsert_objectives(connection, row["run_id"], objectives)
            _replace_history(connection, row["run_id"], history)
        return str(row["run_id"])

    def insert_many(self, runs: Iterable[Mapping[str, Any]]) -> int:
        """Record many runs in one transaction: all of them, or none.

        Args:
            runs: For each run what :meth:`insert` takes, as a mapping with ``run_id``.

        Returns:
            How many there were.

        Raises:
            RunExists: One of them is there already, or comes twice.
            InvalidValue: A value that cannot be stored.

        Example:
            >>> db = getfixture("example_db")
            >>> db.runs.insert_many({"run_id": f"seed-{n}"} for n in range(3))
            3
        """
        from training_db.repository.run_rows import OBJECTIVE_COLUMNS, RUN_COLUMNS, new_rows

        count = 0
        with self._transactions(writes=True) as connection:
            for rows, objectives, histories in new_rows(runs, self._rules, _BATCH):
                try:
                    bulk_insert(connection, training_runs, RUN_COLUMNS, rows)
                except Conflict as error:
                    raise RunExists(
                        f"no run was inserted, for one is there already: {error}"
                    ) from None
                bulk_insert(connection, run_objectives, OBJECTIVE_COLUMNS, objectives)
                for run_id, history in histories.items():
                    _replace_history(connection, run_id, history)
                count += len(rows)
        return count

    def update_status(self, run_id: str, status: str, **fields: Any) -> None:
        """Say where a run stands, and what else became known of it.

        Args:
            run_id: The run.
            status: ``launched``, ``running``, ``completed``, ``failed`` or ``crashed``.
            fields: Columns of ``training_runs``; and ``summary`` (a mapping of final metrics),
                which fills the ``final_*`` columns and the objectives. ``history_json`` takes a
                mapping of metric to list, a list of row mappings, or a DataFrame.

        A run that starts gets its ``started_at``; one that ends its ``ended_at`` and, where both
        are known, its ``duration_seconds``, unless they are given or known already.

        Raises:
            RunNotFound: There is no such run.
            UnknownName: A status or column that does not exist.
            InvalidValue: A value that cannot be stored.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r2")
            >>> db.runs.update_status("r2", "completed", summary={"loss": 0.25})
            >>> db.runs.get("r2")["final_loss"]
            0.25
        """
        self.update(run_id, status=status, **fields)

    def update(self, run_id: str, *, is_lenient: bool = False, **fields: Any) -> None:
        """Change some columns of a run; what they may be is said at :meth:`update_status`.

        Args:
            run_id: The run.
            is_lenient: Whether objectives whose names cannot be stored are left out, as is right
                for documents that come from elsewhere, and not refused.
            fields: The columns.
        """
        from training_db.repository.run_rows import changed_run, lifetime_changes, without_history

        changes, objectives = changed_run(fields, self._rules, is_lenient=is_lenient)
        changes, history = without_history(changes)
        with self._transactions(writes=True) as connection:
            known = self._lifetime(connection, run_id)
            changes |= lifetime_changes(changes, known)
            statement = update(training_runs).where(training_runs.c.run_id == run_id)
            try:
                connection.execute(statement, changes | {"updated_at_db": now()})
            except Conflict as error:
                raise RunExists(f"run {run_id!r} was not changed: {error}") from None
            upsert_objectives(connection, run_id, objectives)
            _replace_history(connection, run_id, history)

    def ensure(self, run_id: str) -> bool:
        """Insert a run unless it is there already, also where several try at once.

        Args:
            run_id: Its id.

        Returns:
            Whether it was inserted.

        Example:
            >>> db = getfixture("example_db")
            >>> db.runs.ensure("r9"), db.runs.ensure("r9")
            (True, False)
        """
        if self.find(run_id) is not None:
            return False
        try:
            self.insert(run_id)
        except RunExists:
            return False
        return True

    def beat(self, run_id: str) -> None:
        """Note that a run is alive, by the clock of the database.

        A run that is launched or running and has not beaten for a while is shown as ``stale``. One
        that was taken for crashed, as :meth:`reap` does, is running again.

        Raises:
            RunNotFound: There is no such run.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r10", status="running")
            >>> db.runs.beat("r10")
            >>> db.runs.get("r10")["stale"]
            False
        """
        with self._transactions(writes=True) as connection:
            if not reaping.beat(connection, run_key(run_id)):
                raise RunNotFound(run_id)

    def reap(
        self, older_than: timedelta = reaping.QUIET, *, dry_run: bool = False
    ) -> list[dict[str, Any]]:
        """Take runs for crashed whose heartbeat is long gone, by the clock of the database.

        They end at their last heartbeat, and an event says so. A run that beats again, after an
        outage of its network, is running again. Runs in the trash stay as they are, and so do
        those that never beat: nobody promised to hear of them.

        Args:
            older_than: How long nothing was heard of them.
            dry_run: Whether only to look.

        Returns:
            For each of these runs its ``run_id``, ``number``, ``host`` and ``heartbeat_at``, and
            the ``status`` that it had.

        Raises:
            InvalidValue: The time is negative, or too long.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r12", status="running")
            >>> db.runs.beat("r12")
            >>> db.runs.reap()
            []
        """
        with self._transactions(writes=not dry_run) as connection:
            silent = reaping.silent_runs(connection, older_than)
            reaped = [run for run in silent if dry_run or reaping.mark_crashed(connection, run)]
        return [{name: run[name] for name in reaping.SHOWN} for run in reaped]

    def delete(self, *run_ids: str) -> int:
        """Move runs to the trash: all of them, or none.

        Listings, counts and statistics leave them out, unless the filter names ``deleted_at``.
        Nothing of them is lost; :meth:`restore` brings them back.

        Args:
            run_ids: The runs. One that is in the trash stays there as it is.

        Returns:
            How many were moved.

        Raises:
            RunNotFound: One of them does not exist.

        Example:
            >>> db = getfixture("example_db")
            >>> _ = db.runs.insert("r11")
            >>> db.runs.delete("r11"), db.runs.count()
            (1, 0)
            >>> db.runs.count("deleted_at is not missing")
            1
            >>> db.runs.restore("r11"), db.runs.count()
            (1, 1)
        """
        return self._trash(run_ids, deleted_at=utc_now())

    def restore(self, *run_ids: str) -> int:
        """Bring runs back from the trash: all of them, or none.

        Args:
            run_ids: The runs. One that is in no trash stays as it is.

        Returns:
            How many were brought back.

        Raises:
            RunNotFound: One of them does not exist.
        """
        return self._trash(run_ids, deleted_at=None)

    def _trash(self, run_ids: Iterable[str], deleted_at: Any) -> int:
        run, moved = training_runs.c, 0
        there = run.deleted_at.is_not(None) if deleted_at is None else run.deleted_at.is_(None)
        with self._transactions(writes=True) as connection:
            for run_id in dict.fromkeys(map(run_key, run_ids)):
                statement = update(training_runs).where(run.run_id == run_id, there)
                changed = connection.execute(statement.values(deleted_at=deleted_at)).rowcount
                if not changed:
                    require_run(connection, run_id)
                moved += changed
        return moved

    def _lifetime(self, connection: Connection, run_id: str) -> Mapping[str, Any]:
        run = training_runs.c
        times = select(
            type_coerce(run.started_at, Timestamp).label("started_at"),
            # An end that is only presumed gives way to one that is known.
            type_coerce(_unless_presumed(run.ended_at), Timestamp).label("ended_at"),
            _unless_presumed(run.duration_seconds).label("duration_seconds"),
        )
        # Not from those who add rows that refer to it, and may want to change it next.
        locked = times.where(run.run_id == run_key(run_id)).with_for_update(key_share=True)
        found = connection.execute(locked).first()
        if found is None:
            raise RunNotFound(run_id)
        return {name: _moment(value) for name, value in found._asdict().items()}


def _unless_presumed(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((reaping.PRESUMED, null()), else_=column)


def _replace_history(connection: Connection, run_id: str, history: Any) -> None:
    if history is not None:
        from training_db.repository.history_json import replace_history

        replace_history(connection, run_id, history)


def _moment(value: Any) -> Any:
    """Read a stored time; old text that is no time is as good as none."""
    try:
        return parse_timestamp(value) if isinstance(value, str) else value
    except InvalidValue:
        return None
