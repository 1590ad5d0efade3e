"""ExperimentDB: track experiments by integer ids, on the same tables as everything else."""

from __future__ import annotations

import uuid
from contextlib import suppress
from operator import index
from typing import TYPE_CHECKING, Any, Self

from training_db.database import TrainingDB
from training_db.documents import decode
from training_db.errors import InvalidValue, NotFound, SchemaMissing, UnknownName
from training_db.experiment_runs import TrackedRuns
from training_db.experiment_tables import comparison_table, metrics_table, runs_table
from training_db.models.run import RunStatus
from training_db.repository.arguments import list_of
from training_db.repository.experiments import ExperimentRepository
from training_db.repository.history_frame import load_pandas
from training_db.settings import is_in_memory

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from types import TracebackType

    import pandas as pd
    from sqlalchemy import URL


class ExperimentDB:
    """Tracks experiments: runs with integer ids, their metrics and artifacts.

    A database that is not there yet is made. Runs, metrics and artifacts stand in the tables of
    :class:`TrainingDB`: the integer id of a run is its ``number`` there, and whatever else was
    stored in the database can be read here.

    Args:
        path_or_url: The path of a SQLite file, a URL, or ``None`` for what the environment says.

    Attributes:
        db: The same database as a :class:`TrainingDB`.

    ``log_metric`` is as fast as a recorder, for it is one, and loses nothing: each call is a row
    of its own, which is safe when the call returns. What reads here sees all that was logged here.
    An instance may be shared by threads.

    Closing says that the experiments begun here are over: those whose status nobody set become
    ``completed``, or ``failed`` where an exception leaves the ``with`` block. Runs that others
    began keep their status.

    Raises:
        ConfigurationError: The place cannot work.
        SchemaOutdated: The database has an older schema; it is left alone.

    Example:
        >>> with ExperimentDB(getfixture("tmp_path") / "experiments.db") as tracker:
        ...     run_id = tracker.log_run("baseline", {"learning_rate": 3e-4})
        ...     for epoch, loss in enumerate([0.9, 0.4, 0.5]):
        ...         tracker.log_metric(run_id, "val_loss", loss, step=epoch * 100, epoch=epoch)
        ...     tracker.update_run_status(run_id, "completed")
        ...     tracker.compare_runs([run_id])[["best_val_loss", "best_epoch", "total_epochs"]]
           best_val_loss  best_epoch  total_epochs
        0            0.4           1             3
    """

    def __init__(self, path_or_url: str | os.PathLike[str] | URL | None = None) -> None:
        database = _Database(path_or_url)
        _make_where_missing(database)
        self.db: TrainingDB = database
        self._questions = database.experiments
        self._runs = TrackedRuns(database, database.experiments.next_step)

    def log_run(self, run_name: str, config: Any = None, notes: str | None = None) -> int:
        """Begin a run, which is ``running`` from now on.

        Args:
            run_name: What people will know it by; it need not be unique.
            config: Its config: a mapping, ``Namespace``, dataclass or JSON text.
            notes: Anything worth knowing about it.

        Returns:
            Its id: 1, 2, 3 ... in the order in which runs began.

        Raises:
            InvalidValue: A value that cannot be stored.
        """
        if not isinstance(run_name, str) or not run_name:
            raise InvalidValue(f"the run_name {run_name!r} is no text; name the run by a word")
        text_id = uuid.uuid4().hex
        with self.db.transaction():
            self.db.runs.insert(
                text_id, config=config, run_name=run_name, notes=notes, status=RunStatus.RUNNING
            )
            number = self.db.runs.number(text_id)
        self._runs.begin(number, text_id)
        return number

    def log_metric(
        self,
        run_id: int,
        metric_name: str,
        value: Any,
        step: int | None = None,
        epoch: float | None = None,
    ) -> None:
        """Log one value of one metric.

        Args:
            run_id: What :meth:`log_run` returned.
            metric_name: Its name.
            value: A number; text and whatever JSON can hold are kept too, and ``None`` is nothing.
            step: The step it belongs to; the one after the last where nothing is said.
            epoch: The epoch, if there are any.

        Raises:
            RunNotFound: There is no such run.
        """
        # Asked of each call: True and 1.0 are equal to an id, and are none.
        number = run_id if type(run_id) is int else _number(run_id)
        self._runs.log(number, metric_name, value, step, epoch)

    def log_artifact(
        self,
        run_id: int,
        artifact_type: str,
        filepath: str | os.PathLike[str],
        metadata: Any = None,
    ) -> None:
        """Note where a file of a run stands; the file is neither read nor copied.

        Args:
            run_id: The run.
            artifact_type: What it is, such as ``"model"``.
            filepath: Its path or URL.
            metadata: What else is to be known of it: anything JSON can hold.

        Raises:
            RunNotFound: There is no such run.
            InvalidValue: A value that cannot be stored.
        """
        self.db.artifacts.add(
            self._runs.text_id(_number(run_id)), artifact_type, filepath, metadata
        )

    def update_run_status(self, run_id: int, status: str) -> None:
        """Say where a run stands.

        Args:
            run_id: The run.
            status: ``launched``, ``running``, ``completed``, ``failed`` or ``crashed``.

        Raises:
            RunNotFound: There is no such run.
            UnknownName: There is no such status.
        """
        number = _number(run_id)
        if status not in list(RunStatus):
            raise UnknownName("status", status, RunStatus)
        self._runs.set_status(number, status)

    def get_run(self, run_id: int) -> dict[str, Any]:
        """Return a run as a dict.

        Returns:
            The columns of ``training_runs``, with ``run_id`` as the integer, the id of
            :class:`TrainingDB` as ``text_id``, and the config as Python objects in ``config``.

        Raises:
            RunNotFound: There is no such run.

        Example:
            >>> with ExperimentDB(getfixture("tmp_path") / "experiments.db") as tracker:
            ...     run = tracker.get_run(tracker.log_run("baseline", {"seed": 7}))
            >>> run["run_id"], run["run_name"], run["status"], run["config"]
            (1, 'baseline', 'running', {'seed': 7})
        """
        run = self.db.runs.get(self._runs.text_id(_number(run_id)))
        config = run["config_json"]
        return {
            **run,
            "run_id": run["number"],
            "text_id": run["run_id"],
            "config": None if config is None else decode(config),
        }

    def get_metrics(self, run_id: int, metric_name: str | None = None) -> pd.DataFrame:
        """Return what a run logged, one row a value, in the order logged.

        Args:
            run_id: The run.
            metric_name: Only this metric.

        Returns:
            A DataFrame with ``metric_name``, ``value`` (float64; objects where some are no
            numbers), ``step``, ``epoch`` (missing where it was not said) and ``timestamp`` (UTC).

        Raises:
            RunNotFound: There is no such run.
            MetricNotFound: The run has no such metric.
            MissingExtra: pandas is not installed.
        """
        pandas = load_pandas()
        number = _number(run_id)
        text_id = self._runs.text_id(number)
        self._runs.flush([number])
        return metrics_table(pandas, self._questions.logged(text_id, metric_name))

    def compare_runs(self, run_ids: Iterable[int]) -> pd.DataFrame:
        """Return runs side by side, in the order of the ids.

        Args:
            run_ids: The runs.

        Returns:
            A DataFrame with ``run_id``, ``run_name``, ``final_train_loss`` and ``final_val_loss``
            (at the highest step), ``best_val_loss`` (the least finite one), ``best_epoch`` (its
            epoch; its step where the run has no epochs) and ``total_epochs``. Losses are found
            under the names people give them, such as ``train/loss`` and ``val_loss``. Epochs that
            count from 0 are one more than the highest. What is not known is missing.

        Raises:
            RunNotFound: One of them does not exist.
            MissingExtra: pandas is not installed.
        """
        pandas = load_pandas()
        if isinstance(run_ids, (int, str)):
            raise InvalidValue(f"run_ids is {run_ids!r}; pass a list, such as [{run_ids}]")
        numbers = [_number(run_id) for run_id in list_of(run_ids, "run ids")]
        self._runs.flush(numbers)
        return comparison_table(pandas, self._questions.compared(numbers))

    def list_runs(self, limit: int | None = 100) -> pd.DataFrame:
        """Return the newest runs, without those in the trash.

        Args:
            limit: At most so many; ``None`` for all.

        Returns:
            A DataFrame with ``run_id``, ``run_name``, ``status``, ``created_at``, ``started_at``,
            ``ended_at`` (all UTC), ``duration_seconds`` and ``notes``.

        Raises:
            MissingExtra: pandas is not installed.
        """
        pandas = load_pandas()
        self.flush()
        return runs_table(pandas, self.db.runs.query(order_by="number DESC", limit=limit))

    def get_best_run(self, metric_name: str, mode: str = "min") -> dict[str, Any]:
        """Return the run in which a metric was ever lowest, or highest.

        Args:
            metric_name: The metric.
            mode: ``"min"`` where the least is best, ``"max"`` where the most is.

        Returns:
            The run as from :meth:`get_run`, with ``metric_name``, ``best_value`` and
            ``best_step``. NaN and infinities are never best.

        Raises:
            MetricNotFound: No run has such a metric.
            NotFound: Runs have it, and none of them a finite number.
            UnknownName: There is no such mode.
        """
        self.flush()
        best = self.db.metrics.best(metric_name, mode)
        if not best:
            raise NotFound(
                f"no run has a finite value of {metric_name!r}: what was logged is NaN, infinite "
                "or no number"
            )
        found = best[0]
        named = {"metric_name": found["metric"], "best_value": found["value"]}
        return self.get_run(found["number"]) | named | {"best_step": found["step"]}

    def flush(self) -> None:
        """Send what was logged here to the database, so that everyone sees it.

        Raises:
            DatabaseUnavailable: It cannot be sent now. It stays in the spool and is not lost.
        """
        self._runs.flush()

    def close(self) -> None:
        """Send what is left, end the runs that were begun here, and close the connections.

        A run that was begun here and whose status nobody set is ``completed``.
        """
        self.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runs.close(kind, error, trace)
        self.db.close()

    def __repr__(self) -> str:
        return repr(self.db).replace("TrainingDB", "ExperimentDB", 1)


class _Database(TrainingDB):
    """The database, with the questions that only a tracker asks."""

    def __init__(self, place: str | os.PathLike[str] | URL | None) -> None:
        super().__init__(place)
        self.experiments = ExperimentRepository(self._transactions)


def _make_where_missing(db: TrainingDB) -> None:
    try:
        db.runs.count({"run_id": ""})  # the least question there is; the schema is checked with it
    except SchemaMissing:
        from training_db.db.migrations import upgrade

        # What is in memory belongs to its engine; a file has to be made before it is opened.
        upgrade(db.engine if is_in_memory(db.url) else db.url)
    except BaseException:
        db.close()
        raise


def _number(run_id: int) -> int:
    """Return the id of a run as Python's own integer, whichever integer it came as."""
    if not isinstance(run_id, bool):
        with suppress(TypeError):
            return index(run_id)
    raise InvalidValue(f"the run id {run_id!r} is no integer; pass what log_run returned")
