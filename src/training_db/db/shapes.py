"""Which columns each version of the schema has, and what kind of value each holds.

This is history, like the migrations themselves: a database made by hand is recognised and read by
it. A new version adds to it; what stands here never changes.
"""

from __future__ import annotations

# Table, then the version that added the columns, then column and kind.
SHAPES: dict[str, dict[str, dict[str, str]]] = {
    "training_runs": {
        "v1": {
            "run_id": "text",
            "wandb_run_id": "text",
            "wandb_url": "text",
            "run_name": "text",
            "chain_of_custody_id": "text",
            "config_file_path": "text",
            "host": "text",
            "instance_id": "text",
            "created_at": "moment",
            "started_at": "moment",
            "ended_at": "moment",
            "duration_seconds": "rounded",
            "status": "text",
            "batch_size": "integer",
            "learning_rate": "number",
            "beta": "number",
            "gradient_method": "text",
            "num_gpus": "integer",
            "num_objectives": "integer",
            "num_scaffolds": "integer",
            "config_json": "json",
            "final_metrics_json": "json",
            "blog_post_url": "text",
            "conversation_s3_key": "text",
            "crash_report_s3_key": "text",
            "error_log_s3_key": "text",
            "crash_analysis_s3_key": "text",
            "created_at_db": "moment",
            "updated_at_db": "moment",
        },
        "v2": {
            "max_steps": "integer",
            "gradient_accumulation_steps": "integer",
            "max_grad_norm": "number",
            "mixed_precision": "flag",
            "gradient_checkpointing": "flag",
            "enable_moving_targets": "flag",
            "n_clusters": "integer",
            "return_groups": "flag",
            "final_loss": "number",
            "final_grad_norm": "number",
            "final_learning_rate": "number",
            "total_training_steps": "integer",
        },
        "v2.1": {"history_json": "json"},
        "v3": {
            "number": "integer",
            "notes": "text",
            "parent_run_id": "text",
            "group_name": "text",
            "heartbeat_at": "moment",
            "deleted_at": "moment",
            "git_branch": "text",
            "git_commit": "text",
            "git_dirty": "flag",
            "history_layout": "text",
        },
    },
    "run_objectives": {
        "v2": {
            "id": "integer",
            "run_id": "text",
            "objective_name": "text",
            "objective_alias": "text",
            "uniprot": "text",
            "weight": "number",
            "direction": "text",
            "raw_mean": "number",
            "normalized_mean": "number",
            "raw_std": "number",
            "normalized_std": "number",
        },
    },
    "run_scaffolds": {
        "v2": {
            "id": "integer",
            "run_id": "text",
            "scaffold_id": "text",
            "scores_json": "json",
            "pareto_rank": "integer",
            "cluster_id": "integer",
        },
    },
    "run_history_key_metrics": {
        "v2.1": {
            "id": "integer",
            "run_id": "text",
            "step": "integer",
            "loss": "number",
            "grad_norm": "number",
            "learning_rate": "number",
            "objective_scores_json": "json",
            "timestamp": "moment",
        },
    },
    "metric_names": {"v3": {"id": "integer", "name": "text"}},
    "run_history_segments": {
        "v3": {
            "run_number": "integer",
            "metric_id": "integer",
            "writer": "integer",
            "first_row": "integer",
            "last_row": "integer",
            "count": "integer",
            "min": "number",
            "max": "number",
            "non_finite_count": "integer",
            "kind": "text",
            "row_numbers": "bytes",
            "cells": "bytes",
        },
    },
    "run_history_tails": {
        "v3": {
            "run_number": "integer",
            "writer": "integer",
            "first_row": "integer",
            "last_row": "integer",
            "block": "bytes",
        },
    },
    "run_metrics": {
        "v3": {
            "run_number": "integer",
            "metric_id": "integer",
            "count": "integer",
            "non_finite_count": "integer",
            "other_count": "integer",
            "first": "number",
            "first_step": "integer",
            "last": "number",
            "last_step": "integer",
            "min": "number",
            "min_step": "integer",
            "max": "number",
            "max_step": "integer",
            "mean": "number",
        },
    },
    "run_artifacts": {
        "v3": {
            "id": "integer",
            "run_number": "integer",
            "artifact_type": "text",
            "filepath": "text",
            "size_bytes": "integer",
            "metadata_json": "json",
            "created_at": "moment",
        },
    },
    "run_events": {
        "v3": {
            "id": "integer",
            "run_number": "integer",
            "happened_at": "moment",
            "kind": "text",
            "message": "text",
            "data_json": "json",
            "event_key": "text",
        },
    },
    "run_tags": {"v3": {"run_number": "integer", "name": "text", "value": "text"}},
}

# Column, then the version that has it no more; the migration takes along what is in it.
MOVED = {"training_runs": {"history_json": "v3"}}

# Without these, a table of one of our names is somebody else's.
NEEDED: dict[str, tuple[str, ...]] = {
    "training_runs": ("run_id", "status", "created_at", "config_json"),
    "run_objectives": ("run_id", "objective_name"),
    "run_scaffolds": ("run_id", "scaffold_id"),
    "run_history_key_metrics": ("run_id", "step"),
    "metric_names": ("id", "name"),
    "run_history_segments": (
        "run_number", "metric_id", "writer", "first_row", "last_row", "count", "non_finite_count",
        "kind", "cells",
    ),
    "run_history_tails": ("run_number", "writer", "first_row", "last_row", "block"),
    "run_metrics": ("run_number", "metric_id", "count", "non_finite_count", "other_count"),
    "run_artifacts": ("run_number", "artifact_type", "filepath"),
    "run_events": ("run_number", "kind", "message"),
    "run_tags": ("run_number", "name"),
}  # fmt: skip

# What no two rows of a table may have alike.
UNIQUE: dict[str, list[tuple[str, ...]]] = {
    "training_runs": [("run_id",), ("wandb_run_id",), ("number",)],
    "run_objectives": [("run_id", "objective_name")],
    "run_scaffolds": [("run_id", "scaffold_id")],
    "metric_names": [("id",), ("name",)],
    "run_history_segments": [("run_number", "metric_id", "writer", "first_row")],
    "run_history_tails": [("run_number", "writer", "first_row")],
    "run_metrics": [("run_number", "metric_id")],
    "run_events": [("run_number", "event_key")],
    "run_tags": [("run_number", "name")],
}

# By which column the rows of other tables belong to what.
REFERENCES = {
    "run_id": ("training_runs", "run_id"),
    "run_number": ("training_runs", "number"),
    "metric_id": ("metric_names", "id"),
}

# Times that may not be NULL, and where there is none, are those of the adoption.
STAMPED = {
    "training_runs": ("created_at_db", "updated_at_db"),
    "run_artifacts": ("created_at",),
    "run_events": ("happened_at",),
}
