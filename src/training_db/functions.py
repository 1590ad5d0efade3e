"""The functions for scripts: they work on the database that the environment names.

Runs come and go as plain dicts. JSON columns are text, so ``json.loads(run["config_json"])``
works; ``run["history_json"]`` is fetched when it is asked for. Each function is a method of
:class:`training_db.TrainingDB` under a shorter name, and raises what that raises.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

from training_db.database import TrainingDB
from training_db.repository.arguments import one_of
from training_db.repository.filters import And, as_filter
from training_db.repository.run_queries import NEWEST_FIRST
from training_db.repository.thresholds import from_thresholds
from training_db.settings import VARIABLES, is_in_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import URL

    from training_db.repository.filters import Filter
    from training_db.repository.run_dict import RunDict

_SCAFFOLD_FILTERS = ("scaffold_id", "cluster_id", "max_pareto_rank", "limit")
_lock = threading.Lock()
_chosen: str | os.PathLike[str] | URL | None = None
_default: tuple[tuple[str | None, ...], TrainingDB] | None = None


def default_db() -> TrainingDB:
    """Return the database that the functions work on.

    Returns:
        The one that :func:`init_db` was given, else the one the environment names now.

    Raises:
        ConfigurationError: The environment names none that can work.
    """
    global _default  # noqa: PLW0603 - one default a process is what these functions are about
    # Reading the settings takes longer than a query, so it is done when one of them changed.
    environment = tuple(map(os.environ.get, VARIABLES))
    with _lock:
        if _default is not None and _chosen is None and _default[0] != environment:
            _default[1].close()
            _default = None
        if _default is None:
            _default = environment, TrainingDB(_chosen)
        return _default[1]


def init_db(url: str | os.PathLike[str] | URL | None = None) -> None:
    """Create the database, or bring an older one to this version's schema.

    Args:
        url: A URL or the path of a SQLite file, which the functions work on from now on;
            ``None`` for what the environment says. Folders that are not there are made.

    Raises:
        ConfigurationError: The URL cannot work.
        SchemaError: The schema cannot be brought to this version; nothing was changed.
        DatabaseUnavailable: The database cannot be reached.

    Example:
        >>> init_db(getfixture("tmp_path") / "new folder" / "runs.db")
        >>> get_stats()["total_runs"]
        0
    """
    global _chosen, _default
    from training_db.db.migrations import upgrade

    chosen = TrainingDB(url)
    # What is in memory belongs to its engine; a file has to be made before it is opened.
    upgrade(chosen.engine if is_in_memory(chosen.url) else chosen.url)
    with _lock:
        if _default is not None:
            _default[1].close()
        _chosen, _default = url, (tuple(map(os.environ.get, VARIABLES)), chosen)


def insert_run(
    run_id: str,
    wandb_run_id: str | None = None,
    config_dict: Any = None,
    chain_of_custody_id: str | None = None,
    **fields: Any,
) -> str:
    """Record that a run was launched; see :meth:`RunRepository.insert`.

    Args:
        run_id: Its id.
        wandb_run_id: Its id at W&B.
        config_dict: Its config, which fills columns and objectives.
        chain_of_custody_id: The id under which its data can be traced.
        fields: Columns of ``training_runs``; they win over what the config says.

    Returns:
        The run's id.

    Example:
        >>> init_db(getfixture("tmp_path") / "runs.db")
        >>> insert_run("r1", "wandb-1", {"gradient_method": "mgda", "objectives": ["QED_maximize"]})
        'r1'
    """
    fields |= {"config_dict": config_dict, "chain_of_custody_id": chain_of_custody_id}
    return default_db().runs.insert(run_id, wandb_run_id, **fields)


def update_run_status(run_id: str, status: str, **fields: Any) -> None:
    """Say where a run stands; see :meth:`RunRepository.update_status`.

    Args:
        run_id: The run.
        status: ``launched``, ``running``, ``completed``, ``failed`` or ``crashed``.
        fields: Columns of ``training_runs``, ``summary`` and ``history_json``.

    Example:
        >>> init_db(getfixture("tmp_path") / "runs.db")
        >>> _ = insert_run("r1")
        >>> update_run_status("r1", "completed", history_json={"loss": [2.0, 0.5]})
        >>> get_run("r1")["history_json"]
        '{"loss":[2.0,0.5]}'
    """
    default_db().runs.update_status(run_id, status, **fields)


def get_run(run_id: str) -> RunDict | None:
    """Return a run as a dict, or ``None`` where there is none.

    Example:
        >>> init_db(getfixture("tmp_path") / "runs.db")
        >>> get_run("nobody") is None
        True
    """
    return default_db().runs.find(run_id)


def query_runs(
    filters: Mapping[str, Any] | str | Filter | None = None,
    order_by: str = NEWEST_FIRST,
    limit: int | None = 100,
    offset: int = 0,
) -> list[RunDict]:
    """Return the runs that match; see :meth:`RunRepository.query`.

    Args:
        filters: A dict of filters, or a text such as ``"status = 'failed' and host like 'gpu%'"``.
        order_by: A column, and ``ASC`` or ``DESC``.
        limit: At most so many; ``None`` for all.
        offset: Skip so many.

    Example:
        >>> init_db(getfixture("tmp_path") / "runs.db")
        >>> _ = insert_run("r1", None, {"optimizer": {"lr": 0.1}})
        >>> [run["run_id"] for run in query_runs({"min_learning_rate": 0.05})]
        ['r1']
    """
    return default_db().runs.query(filters, order_by, limit, offset)


def insert_objective(run_id: str, objective_name: str, **fields: Any) -> None:
    """Add an objective to a run, or change it; see :meth:`ObjectiveRepository.insert`."""
    default_db().objectives.insert(run_id, objective_name, **fields)


def update_objective_metric(
    run_id: str, objective_name: str, metric_type: str, value: float | None
) -> None:
    """Set one statistic of an objective; see :meth:`ObjectiveRepository.update_metric`."""
    default_db().objectives.update_metric(run_id, objective_name, metric_type, value)


def update_objectives(run_id: str, summary: Any) -> int:
    """Set all objectives from a summary; see :meth:`ObjectiveRepository.update_from_summary`.

    Example:
        >>> init_db(getfixture("tmp_path") / "runs.db")
        >>> _ = insert_run("r1")
        >>> update_objectives("r1", {"objectives/SA_minimize/raw_mean": 2.5})
        1
    """
    return default_db().objectives.update_from_summary(run_id, summary)


def query_runs_by_objectives(
    objective_filters: Mapping[str, Any],
    *,
    order_by: str = NEWEST_FIRST,
    limit: int | None = 100,
    offset: int = 0,
    **filters: Any,
) -> list[RunDict]:
    """Return the runs that pass the thresholds of all objectives named.

    Args:
        objective_filters: For each objective a number (``raw_mean`` at least that), a pair such
            as ``("<", 3.5)``, or a mapping such as ``{"max": 3.5}`` or ``{"min_raw_std": 0.1}``.
        order_by: A column, and ``ASC`` or ``DESC``.
        limit: At most so many; ``None`` for all.
        offset: Skip so many.
        filters: As in the dict of :func:`query_runs`.

    Raises:
        InvalidInput: A threshold or filter that cannot be used.

    Example:
        >>> init_db(getfixture("tmp_path") / "runs.db")
        >>> _ = insert_run("r1")
        >>> insert_objective("r1", "QED", raw_mean=0.7)
        >>> insert_objective("r1", "SA", raw_mean=2.9)
        >>> len(query_runs_by_objectives({"QED": 0.6, "SA": ("<", 3.5)}, status="launched"))
        1
    """
    both = And((from_thresholds(objective_filters), as_filter(filters)))
    return default_db().runs.query(both, order_by, limit, offset)


def insert_scaffolds(
    run_id: str, scaffolds: Iterable[Mapping[str, Any]] | Mapping[str, Any]
) -> int:
    """Add scaffolds to a run, or change them; see :meth:`ScaffoldRepository.insert`."""
    return default_db().scaffolds.insert(run_id, scaffolds)


def query_scaffolds(run_id: str | None = None, **filters: Any) -> list[dict[str, Any]]:
    """Return scaffolds; see :meth:`ScaffoldRepository.query`."""
    for name in filters:
        one_of("scaffold filter", name, _SCAFFOLD_FILTERS)
    return default_db().scaffolds.query(run_id, **filters)


def attach_blog_post(run_id: str, blog_post_url: str) -> None:
    """Note where the post about a run stands."""
    default_db().runs.update(run_id, blog_post_url=blog_post_url)


def attach_crash_data(
    run_id: str,
    crash_report_s3_key: str | None = None,
    error_log_s3_key: str | None = None,
    crash_analysis_s3_key: str | None = None,
) -> None:
    """Note where the crash report, error log and analysis of a run are kept.

    Args:
        run_id: The run.
        crash_report_s3_key: The key of the report; ``None`` leaves what is there.
        error_log_s3_key: The key of the log, likewise.
        crash_analysis_s3_key: The key of the analysis, likewise.

    Raises:
        RunNotFound: There is no such run.

    Example:
        >>> init_db(getfixture("tmp_path") / "runs.db")
        >>> _ = insert_run("r1")
        >>> attach_crash_data("r1", error_log_s3_key="logs/r1.txt")
        >>> [run["run_id"] for run in query_runs({"has_error_log": True})]
        ['r1']
    """
    keys: dict[str, Any] = {
        "crash_report_s3_key": crash_report_s3_key,
        "error_log_s3_key": error_log_s3_key,
        "crash_analysis_s3_key": crash_analysis_s3_key,
    }
    default_db().runs.update(run_id, **{name: key for name, key in keys.items() if key is not None})


def attach_conversation(run_id: str, conversation_s3_key: str) -> None:
    """Note where the conversation about a run is kept."""
    default_db().runs.update(run_id, conversation_s3_key=conversation_s3_key)


def get_stats(filters: Mapping[str, Any] | str | Filter | None = None) -> dict[str, Any]:
    """Count runs by status, method and host; see :meth:`StatisticsRepository.overview`."""
    return default_db().statistics.overview(filters)
