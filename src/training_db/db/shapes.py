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
}

# Without these, a table of one of our names is somebody else's.
NEEDED = {
    "training_runs": ("run_id", "status", "created_at", "config_json"),
    "run_objectives": ("run_id", "objective_name"),
    "run_scaffolds": ("run_id", "scaffold_id"),
    "run_history_key_metrics": ("run_id", "step"),
}

# What no two rows of a child table may have alike.
UNIQUE = {
    "run_objectives": ("run_id", "objective_name"),
    "run_scaffolds": ("run_id", "scaffold_id"),
}
