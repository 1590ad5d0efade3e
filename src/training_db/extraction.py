"""Config and W&B summary to columns and objectives: a table of rules, and the code that reads it.

A rule names a column and the places to look for it, in order. A place is a key of the document or
a path into it: ``"optimizer.lr"`` finds ``{"optimizer.lr": 1}`` and ``{"optimizer": {"lr": 1}}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

from training_db.errors import UnknownName
from training_db.extraction_values import (
    as_count,
    as_direction,
    as_flag,
    as_integer,
    as_number,
    as_rounded,
    as_text,
    is_mixed_precision,
)
from training_db.models import DIRECTIONS, OBJECTIVE_STATISTICS, training_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Objectives = dict[str, dict[str, Any]]
    Paths = tuple[tuple[str, ...], ...]
    # For each key the columns that end there, with the rank of the place among all the column's,
    # and the keys below it.
    Places = dict[str, tuple[list[tuple[str, int]], "Places"]]

_SECTIONS = ("", "training.", "train.", "trainer.", "optimizer.", "optim.", "model.", "data.")


def _anywhere(*names: str) -> tuple[str, ...]:
    return tuple(section + name for name in names for section in _SECTIONS)


CONFIG_RULES: dict[str, tuple[str, ...]] = {
    "batch_size": _anywhere("batch_size", "train_batch_size", "per_device_train_batch_size"),
    "learning_rate": _anywhere("learning_rate", "lr"),
    "beta": ("beta", "training.beta", "loss.beta", "kl.beta", "model.beta"),
    "gradient_method": _anywhere("gradient_method", "mtl_method", "moo_method")
    + ("gradient.method", "multi_objective.method"),
    "num_gpus": _anywhere("num_gpus", "n_gpus", "gpus", "world_size"),
    "num_objectives": ("num_objectives", "training.num_objectives", "objectives"),
    "num_scaffolds": ("num_scaffolds", "training.num_scaffolds", "data.num_scaffolds", "scaffolds"),
    "max_steps": _anywhere("max_steps", "num_steps", "total_steps"),
    "gradient_accumulation_steps": _anywhere(
        "gradient_accumulation_steps", "accumulate_grad_batches", "grad_accum_steps"
    ),
    "max_grad_norm": _anywhere("max_grad_norm", "grad_clip", "gradient_clip_val", "clip_grad_norm"),
    "mixed_precision": _anywhere("mixed_precision", "precision"),
    "gradient_checkpointing": _anywhere("gradient_checkpointing"),
    "enable_moving_targets": _anywhere("enable_moving_targets"),
    "n_clusters": _anywhere("n_clusters", "num_clusters") + ("clustering.n_clusters",),
    "return_groups": _anywhere("return_groups") + ("clustering.return_groups",),
}

SUMMARY_RULES: dict[str, tuple[str, ...]] = {
    "final_loss": ("loss", "train/loss", "training/loss", "train_loss", "total_loss", "loss/total"),
    "final_grad_norm": ("grad_norm", "train/grad_norm", "training/grad_norm", "gradient_norm"),
    "final_learning_rate": (
        "learning_rate", "train/learning_rate", "training/learning_rate", "lr", "train/lr"
    ),
    "total_training_steps": (
        "total_training_steps", "train/global_step", "trainer/global_step", "global_step", "_step"
    ),
    "duration_seconds": ("_runtime", "_wandb.runtime"),
}  # fmt: skip

_OBJECTIVE_LISTS = (
    "objectives",
    "training.objectives",
    "reward.objectives",
    "multi_objective.objectives",
)


class ExtractionRules:
    """Where the columns of a run are found in its config and in its summary.

    Args:
        config: For each column, the places in the config, best first.
        summary: The same for the summary.

    Example:
        >>> rules = ExtractionRules()
        >>> rules.add("learning_rate", "solver.base_lr")
        >>> rules.columns({"solver": {"base_lr": "3e-4"}, "batch_size": "auto"})
        {'learning_rate': 0.0003}
    """

    def __init__(
        self,
        config: Mapping[str, Iterable[str]] = CONFIG_RULES,
        summary: Mapping[str, Iterable[str]] = SUMMARY_RULES,
    ) -> None:
        # A tree of keys, so that a document is gone through once.
        self._places: dict[str, Places] = {"config": {}, "summary": {}}
        self._best_rank = 0
        for column, places in config.items():
            self.add(column, *places)
        for column, places in summary.items():
            self.add(column, *places, source="summary")

    def add(
        self, column: str, *places: str, source: Literal["config", "summary"] = "config"
    ) -> None:
        """Look for a column in more places, and before those that are known already.

        Args:
            column: A column of ``training_runs``.
            places: Keys or dotted paths, best first.
            source: Which document they are places of.

        Raises:
            UnknownName: There is no such column.
        """
        if column not in training_runs.c:
            raise UnknownName("column", column, training_runs.c.keys())
        paths = _key_paths(places)
        self._best_rank -= len(paths)
        for rank, path in enumerate(paths, self._best_rank):
            level = self._places[source]
            for key in path[:-1]:
                level = level.setdefault(key, ([], {}))[1]
            level.setdefault(path[-1], ([], {}))[0].append((column, rank))

    def columns(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns that a config fills; a value of the wrong kind fills none."""
        return self._extract("config", config)

    def summary_columns(self, summary: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns that a summary fills."""
        return self._extract("summary", summary)

    def _extract(self, source: str, document: Mapping[str, Any]) -> dict[str, Any]:
        ranked: dict[str, tuple[int, Any]] = {}
        _collect(self._places[source], document, ranked)
        return {column: value for column, (_, value) in ranked.items()}


def _collect(places: Places, document: Any, ranked: dict[str, tuple[int, Any]]) -> None:
    """Go once through a document, and note the best value there is for each column."""
    for key, node in document.items():
        place = places.get(key)
        if place is None:
            continue
        value = _unwrapped(node)
        columns, below = place
        for column, rank in columns:
            if column in ranked and ranked[column][0] < rank:
                continue
            converted = _converter(column)(value)
            if converted is not None:
                ranked[column] = (rank, converted)
        if below and isinstance(value, Mapping):
            _collect(below, value, ranked)


def config_objectives(config: Mapping[str, Any]) -> Objectives:
    """Return the objectives that a config declares.

    Args:
        config: Its ``objectives`` may be a list of mappings with ``name``, ``alias``,
            ``uniprot``, ``weight`` and ``direction``, a list of names, or a mapping of names to
            such mappings or to weights.

    Returns:
        For each name the columns of ``run_objectives`` that are known, in the config's order.

    Example:
        >>> config_objectives({"objectives": [{"name": "QED", "weight": 1}, "SA_minimize"]})
        {'QED': {'weight': 1.0}, 'SA': {'direction': 'minimize'}}
    """
    for place in _OBJECTIVE_LISTS:
        for path in _key_paths([place]):
            declared = _at(config, path)
            if declared:
                return _declared_objectives(declared)
    return {}


def summary_objectives(summary: Mapping[str, Any]) -> Objectives:
    """Return what a summary says of objectives, by keys ``objectives/NAME_direction/STATISTIC``.

    Args:
        summary: Flat, as W&B writes it, or with nested mappings under ``objectives``.

    Returns:
        For each name the statistics that are numbers, and the direction its suffix gives.

    Example:
        >>> summary_objectives({"objectives/minimize_risk_minimize/raw_mean": 0.25})
        {'minimize_risk': {'direction': 'minimize', 'raw_mean': 0.25}}
    """
    found: Objectives = {}
    for key, value in summary.items():
        parsed = objective_key(key) if key.__class__ is str else None
        if parsed is not None:
            _note(found, parsed, value)
    nested = summary.get("objectives")
    if isinstance(nested, Mapping):
        for key, statistics in nested.items():
            if isinstance(statistics, Mapping):
                for statistic, value in statistics.items():
                    parsed = objective_key(f"objectives/{key}/{statistic}")
                    if parsed is not None:
                        _note(found, parsed, value)
    return found


def storable_objectives(found: Objectives) -> Objectives:
    """Leave out objectives by whose names no index can go; the documents keep what they say.

    Example:
        >>> storable_objectives({"QED": {"weight": 1.0}, "x" * 2_000: {"weight": 1.0}})
        {'QED': {'weight': 1.0}}
    """
    return {name: about for name, about in found.items() if as_text(name) is not None}


@lru_cache(maxsize=65_536)
def objective_key(key: str) -> tuple[str, str | None, str] | None:
    """Take a summary key of an objective apart into name, direction and statistic.

    Example:
        >>> objective_key("objectives/COMT_activity_maximize/raw_mean")
        ('COMT_activity', 'maximize', 'raw_mean')
        >>> objective_key("loss") is None
        True
    """
    prefix, _, rest = key.partition("/")
    label, _, statistic = rest.rpartition("/")
    if prefix != "objectives" or not label or statistic not in OBJECTIVE_STATISTICS:
        return None
    name, direction = _cut_direction(label)
    return name, direction, statistic


def _note(found: Objectives, parsed: tuple[str, str | None, str], value: object) -> None:
    name, direction, statistic = parsed
    number = as_number(value)
    if number is not None:
        objective = found.setdefault(name, {"direction": direction} if direction else {})
        objective[statistic] = number


def _declared_objectives(declared: object) -> Objectives:
    if isinstance(declared, Mapping):
        entries: Iterable[tuple[object, object]] = declared.items()
    elif isinstance(declared, (list, tuple)):
        entries = [
            (entry.get("name") or entry.get("objective_name"), entry)
            if isinstance(entry, Mapping)
            else (entry, None)
            for entry in declared
        ]
    else:
        return {}
    return dict(
        _declared_objective(label, about)
        for label, about in entries
        if isinstance(label, str) and label
    )


def _declared_objective(label: str, about: object) -> tuple[str, dict[str, Any]]:
    if not isinstance(about, Mapping):
        about = {} if about is None else {"weight": about}
    fields: dict[str, Any] = {}
    for key, given in about.items():
        column, convert = _OBJECTIVE_FIELDS.get(key, (None, None))
        if column and convert and (value := convert(given)) is not None:
            fields.setdefault(column, value)
    name, direction = _cut_direction(label)
    if direction and fields.get("direction", direction) == direction:  # said twice is said once
        return name, fields | {"direction": direction}
    return label, fields


def _cut_direction(label: str) -> tuple[str, str | None]:
    for direction in DIRECTIONS:
        name = label.removesuffix(f"_{direction}")
        if name and name != label:
            return name, direction
    return label, None


def _key_paths(places: Iterable[str]) -> Paths:
    return tuple(
        path
        for place in places
        for path in dict.fromkeys([(place,), tuple(re.split("[./]", place))])
    )


def _at(document: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(document, Mapping) or key not in document:
            return None
        document = _unwrapped(document[key])
    return document


def _unwrapped(node: Any) -> Any:
    """Take the value out of W&B's own form, ``{"value": 1}`` or ``{"desc": None, "value": 1}``."""
    if isinstance(node, dict) and "value" in node and node.keys() <= {"value", "desc"}:
        return node["value"]
    return node


_BY_TYPE: dict[type, Callable[[object], Any]] = {
    int: as_integer,
    float: as_number,
    bool: as_flag,
    str: as_text,
}
_CONVERTERS: dict[str, Callable[[object], Any]] = {
    "num_objectives": as_count,
    "num_scaffolds": as_count,
    "mixed_precision": is_mixed_precision,
    "duration_seconds": as_rounded,
}

_OBJECTIVE_FIELDS: dict[str, tuple[str, Callable[[object], Any]]] = {
    "objective_alias": ("objective_alias", as_text),
    "alias": ("objective_alias", as_text),
    "uniprot": ("uniprot", as_text),
    "uniprot_id": ("uniprot", as_text),
    "weight": ("weight", as_number),
    "direction": ("direction", as_direction),
}


def _converter(column: str) -> Callable[[object], Any]:
    return _CONVERTERS.get(column) or _BY_TYPE[training_runs.c[column].type.python_type]


RULES = ExtractionRules()
