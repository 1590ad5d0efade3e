"""The config of a run: everything the training reads, and what is worth knowing later."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import rdkit

from molecule_objectives import LOGP_TARGET, OBJECTIVES
from molecule_space import FEATURES, FRAGMENTS, SCAFFOLDS


def make_config(method: str, seed: int, max_steps: int, batch_size: int) -> dict[str, Any]:
    """Return the config of one run.

    Args:
        method: The gradient method, one of ``gradient_methods.METHODS``.
        seed: Of everything that is drawn in the run.
        max_steps: Updates of the policy.
        batch_size: Molecules an update.

    Returns:
        A nested dict that can be written as JSON.
    """
    return {
        "gradient_method": method,
        "seed": seed,
        "beta": 0.03,
        "num_gpus": 0,
        "n_clusters": 4,
        "enable_moving_targets": True,
        "return_groups": True,
        "host": platform.node(),
        "training": {
            "learning_rate": 0.01,
            "min_learning_rate": 0.001,
            "warmup_steps": max(1, max_steps // 20),
            "batch_size": batch_size,
            "max_steps": max_steps,
            "max_grad_norm": 1.0,
            "gradient_accumulation_steps": 1,
            "mixed_precision": False,
            "gradient_checkpointing": False,
            "baseline_decay": 0.8,
        },
        "optimizer": {"name": "adam", "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
        "model": {
            "name": "fragment_policy",
            "activation": "tanh",
            "hidden_sizes": [64, 64],
            "features": FEATURES,
            "fragments": len(FRAGMENTS),
        },
        "objectives": [
            {
                "name": objective.name,
                "alias": objective.alias,
                "uniprot": None,
                "weight": 1.0,
                "direction": objective.direction,
            }
            for objective in OBJECTIVES
        ],
        "logp_target": LOGP_TARGET,
        "scaffolds": [{"id": name, "smiles": smiles} for name, smiles in SCAFFOLDS.items()],
        "versions": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "rdkit": rdkit.__version__,
        },
    }
