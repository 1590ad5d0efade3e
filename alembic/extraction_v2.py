"""Config and summary to columns and objectives, as v2 did it: frozen with its migration."""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Any

SECTIONS = ("", "training.", "train.", "trainer.", "optimizer.", "optim.", "model.", "data.")
LARGEST = 2**63 - 1
STATISTICS = ("raw_mean", "normalized_mean", "raw_std", "normalized_std")
TRUE_WORDS = {"yes", "true", "on", "mixed", "1"}
FALSE_WORDS = {"no", "false", "off", "none", "full", "0", ""}
LONGEST_INDEXED = 1000  # bytes; an index row of PostgreSQL ends at 2,704
SINGLE_PRECISION = 32
FLOATS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def anywhere(*names: str) -> list[str]:
    """Return each name by itself and in each section, the first name first."""
    return [section + name for name in names for section in SECTIONS]


# Column: its kind, and the places to look, best first.
CONFIG_RULES: dict[str, tuple[str, list[str]]] = {
    "batch_size": (
        "integer",
        anywhere("batch_size", "train_batch_size", "per_device_train_batch_size"),
    ),
    "learning_rate": ("number", anywhere("learning_rate", "lr")),
    "beta": ("number", ["beta", "training.beta", "loss.beta", "kl.beta", "model.beta"]),
    "gradient_method": (
        "text",
        [
            *anywhere("gradient_method", "mtl_method", "moo_method"),
            "gradient.method",
            "multi_objective.method",
        ],
    ),
    "num_gpus": ("integer", anywhere("num_gpus", "n_gpus", "gpus", "world_size")),
    "num_objectives": ("count", ["num_objectives", "training.num_objectives", "objectives"]),
    "num_scaffolds": (
        "count",
        ["num_scaffolds", "training.num_scaffolds", "data.num_scaffolds", "scaffolds"],
    ),
    "max_steps": ("integer", anywhere("max_steps", "num_steps", "total_steps")),
    "gradient_accumulation_steps": (
        "integer",
        anywhere("gradient_accumulation_steps", "accumulate_grad_batches", "grad_accum_steps"),
    ),
    "max_grad_norm": (
        "number",
        anywhere("max_grad_norm", "grad_clip", "gradient_clip_val", "clip_grad_norm"),
    ),
    "mixed_precision": ("precision", anywhere("mixed_precision", "precision")),
    "gradient_checkpointing": ("flag", anywhere("gradient_checkpointing")),
    "enable_moving_targets": ("flag", anywhere("enable_moving_targets")),
    "n_clusters": (
        "integer",
        [*anywhere("n_clusters", "num_clusters"), "clustering.n_clusters"],
    ),
    "return_groups": ("flag", [*anywhere("return_groups"), "clustering.return_groups"]),
}
SUMMARY_RULES: dict[str, tuple[str, list[str]]] = {
    "final_loss": (
        "number",
        ["loss", "train/loss", "training/loss", "train_loss", "total_loss", "loss/total"],
    ),
    "final_grad_norm": (
        "number",
        ["grad_norm", "train/grad_norm", "training/grad_norm", "gradient_norm"],
    ),
    "final_learning_rate": (
        "number",
        ["learning_rate", "train/learning_rate", "training/learning_rate", "lr", "train/lr"],
    ),
    "total_training_steps": (
        "integer",
        [
            "total_training_steps",
            "train/global_step",
            "trainer/global_step",
            "global_step",
            "_step",
        ],
    ),
    "duration_seconds": ("rounded", ["_runtime", "_wandb.runtime"]),
}
OBJECTIVE_LISTS = (
    "objectives",
    "training.objectives",
    "reward.objectives",
    "multi_objective.objectives",
)
OBJECTIVE_FIELDS = {
    "objective_alias": ("text", ("objective_alias", "alias")),
    "uniprot": ("text", ("uniprot", "uniprot_id")),
    "weight": ("number", ("weight",)),
    "direction": ("text", ("direction",)),
}


def columns(document: dict[str, Any], rules: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return the columns that a document fills, and those whose values are of the wrong type."""
    found: dict[str, Any] = {}
    wrong = []
    for column, (kind, places) in rules.items():
        faulty = False
        for place in places:
            raw = look_up(document, place)
            value = None if raw is None else CONVERTERS[kind](raw)
            if value is not None:
                found[column] = value
                break
            faulty = faulty or raw is not None
        else:
            if faulty:
                wrong.append(column)
    return found, wrong


def objectives(config: dict[str, Any], summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what config and summary together say of each objective, by its name."""
    found = declared_objectives(config)
    for key, value in measured(summary):
        parsed = objective_key(key)
        figure = None if parsed is None else number(value)
        if parsed is not None and figure is not None:
            name, direction, statistic = parsed
            objective = found.setdefault(name, {})
            objective[statistic] = figure
            if direction:
                objective.setdefault("direction", direction)
    return found


def look_up(document: dict[str, Any], place: str) -> Any:
    """Find a place: a key as it stands, or a path of keys."""
    if place in document:
        return unwrapped(document[place])
    path = path_of(place)
    if len(path) == 1:
        return None
    node: Any = document
    for key in path:
        if not isinstance(node, dict) or key not in node:
            return None
        node = unwrapped(node[key])
    return node


@cache
def path_of(place: str) -> list[str]:
    """Split a place into the keys that lead to it."""
    return re.split("[./]", place)


def unwrapped(node: Any) -> Any:
    """Undo W&B's ``{"value": x}``, and this library's tags of numbers that JSON has not."""
    if isinstance(node, dict) and len(node) <= 2:
        if "value" in node:
            return unwrapped(node["value"])
        if len(node) == 1 and "$float" in node:
            return FLOATS.get(node["$float"], node)
    return node


def declared_objectives(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the objectives of a config: a list of mappings or names, or a mapping by name."""
    declared = next((node for place in OBJECTIVE_LISTS if (node := look_up(config, place))), None)
    if isinstance(declared, dict):
        entries = list(declared.items())
    elif isinstance(declared, list):
        entries = [
            (entry.get("name") or entry.get("objective_name"), entry)
            if isinstance(entry, dict)
            else (entry, {})
            for entry in declared
        ]
    else:
        entries = []
    return dict(
        declared_objective(label, unwrapped(about))
        for label, about in entries
        if isinstance(label, str) and storable(label)
    )


def declared_objective(label: str, about: Any) -> tuple[str, dict[str, Any]]:
    """Return the name of one objective and the fields that are told of it."""
    about = about if isinstance(about, dict) else {"weight": about}
    fields = {}
    for column, (kind, keys) in OBJECTIVE_FIELDS.items():
        values = (CONVERTERS[kind](unwrapped(about[key])) for key in keys if key in about)
        value = next((value for value in values if value is not None), None)
        if value is not None:
            fields[column] = value
    name, direction = cut_direction(label)
    if direction and fields.get("direction", direction) == direction:  # said twice is said once
        return name, fields | {"direction": direction}
    return label, fields


def measured(summary: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the figures of objectives by flat keys, whether they are nested or not."""
    flat = [(key, unwrapped(value)) for key, value in summary.items() if key[:11] == "objectives/"]
    nested = summary.get("objectives")
    if isinstance(nested, dict):
        for label, statistics in nested.items():
            if isinstance(statistics, dict):
                flat += [
                    (f"objectives/{label}/{statistic}", unwrapped(value))
                    for statistic, value in statistics.items()
                ]
    return flat


@cache
def objective_key(key: str) -> tuple[str, str | None, str] | None:
    """Take ``objectives/NAME_direction/STATISTIC`` apart."""
    label, _, statistic = key.removeprefix("objectives/").rpartition("/")
    if not label or statistic not in STATISTICS or not storable(label):
        return None
    return *cut_direction(label), statistic


def cut_direction(label: str) -> tuple[str, str | None]:
    """Cut the suffix that says the direction, and only the suffix."""
    for direction in ("maximize", "minimize"):
        name = label.removesuffix(f"_{direction}")
        if name and name != label:
            return name, direction
    return label, None


def number(value: Any) -> float | None:
    """Return a number, or a text that is one; a text never stands for NaN or an infinity."""
    try:
        if isinstance(value, str):
            figure = float(value)
            return figure if math.isfinite(figure) else None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    return None


def integer(value: Any) -> int | None:
    """Return a whole number of at most 64 bits."""
    figure = value if type(value) is int else number(value)
    if figure is None or not math.isfinite(figure) or figure != int(figure):
        return None
    return int(figure) if -LARGEST <= figure <= LARGEST else None


def rounded(value: Any) -> int | None:
    """Return a number as a whole one."""
    figure = number(value)
    return None if figure is None or not math.isfinite(figure) else integer(round(figure))


def count(value: Any) -> int | None:
    """Return a whole number, or how many there are of what is listed."""
    return len(value) or None if isinstance(value, (list, dict)) else integer(value)


def text(value: Any) -> str | None:
    """Return a text that both backends can hold."""
    return value if isinstance(value, str) and storable(value) else None


def storable(value: str) -> bool:
    """Tell whether both backends can index a text: no NUL, no half of a pair, not too long."""
    return (
        bool(value)
        and not re.search("[\0\ud800-\udfff]", value)
        and len(value.encode()) <= LONGEST_INDEXED
    )


def flag(value: Any) -> bool | None:
    """Return a yes or no."""
    if isinstance(value, str):
        word = value.strip().lower()
        return True if word in TRUE_WORDS else False if word in FALSE_WORDS else None
    return bool(value) if isinstance(value, int) and value in (0, 1) else None


def precision(value: Any) -> bool | None:
    """Return whether a precision is a mixed one; 16 and "bf16-mixed" are, 32 and "fp32" are not."""
    if isinstance(value, str) and (bits := re.search(r"\d+", value)):
        value = int(bits[0][:4])
    if type(value) is int and value > 1:
        return value < SINGLE_PRECISION
    return flag(value)


CONVERTERS = {
    "integer": integer,
    "number": number,
    "rounded": rounded,
    "count": count,
    "text": text,
    "flag": flag,
    "precision": precision,
}
