"""The settings of one run: its config as names and single values."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from training_db.extraction import CONFIG_RULES, RULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

COLUMNS = tuple(CONFIG_RULES)
"""Columns of a run that are settings, which runs have that were stored without a config."""
_OF_WANDB = {"_wandb", "wandb_version"}
_NAMES = ("name", "id")


def run_settings(run: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a run.

    Args:
        run: As ``db.runs.get`` returns it.

    Returns:
        Names and values: a nested config by dotted paths, a list of named things by their names
        (``objectives.QED.weight``), another list as JSON text, and the columns that are settings
        and were not filled from the config. What W&B adds is left out.

    Example:
        >>> config = {"optimizer": {"lr": 0.1}, "losses": [{"name": "kl", "weight": 2}]}
        >>> run_settings({"config_json": json.dumps(config), "beta": 0.5})
        {'beta': 0.5, 'optimizer.lr': 0.1, 'losses.kl.weight': 2}
    """
    try:
        config = json.loads(run.get("config_json") or "{}")
    except (ValueError, RecursionError):  # a row of somebody else
        config = {}
    config = config if isinstance(config, dict) else {}
    filled = RULES.columns(config)
    settings = {name: run.get(name) for name in COLUMNS if name not in filled}
    settings |= dict(_leaves(config, ""))
    return {name: value for name, value in settings.items() if value is not None}


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, dict) and "value" in node and node.keys() <= {"value", "desc"}:
        node = node["value"]  # W&B's own form
    if isinstance(node, list):
        node = _by_their_names(node)
    if isinstance(node, dict):
        for key, value in node.items():
            if path or key not in _OF_WANDB:
                yield from _leaves(value, f"{path}.{key}" if path else key)
    else:
        yield path, json.dumps(node) if isinstance(node, list) else node


def _by_their_names(items: list[Any]) -> Any:
    """Turn a list of mappings with names of their own into a mapping of the rest by the names."""
    for key in _NAMES:
        names = [item.get(key) if isinstance(item, dict) else None for item in items]
        if items and all(isinstance(one, str) for one in names) and len({*names}) == len(names):
            rest = [{name: item[name] for name in item if name != key} for item in items]
            return dict(zip(names, rest, strict=True))
    return items
