"""``training-db analyze``: answers about runs."""

from __future__ import annotations

import typer

from training_db.cli import (
    analyze_costs,
    analyze_dynamics,
    analyze_groups,
    analyze_pareto,
    analyze_regression,
    analyze_sensitivity,
)

app = typer.Typer(
    help="Ask what happened in runs, which are best, and what made them so.", no_args_is_help=True
)
for questions in (
    analyze_dynamics,
    analyze_pareto,
    analyze_groups,
    analyze_sensitivity,
    analyze_regression,
    analyze_costs,
):
    questions.register(app)
