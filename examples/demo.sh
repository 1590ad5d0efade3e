#!/usr/bin/env bash
# `make demo`: an empty file, eight real trainings, and the questions of the README.
set -euo pipefail
cd "$(dirname "$0")/.."

# Whatever database the user works with, the demo has a file of its own.
unset "${!TRAINING_DB_@}"
export TRAINING_DB_PATH=demo.db
rm -f demo.db demo.db-wal demo.db-shm

show() {
    printf '\n$ %s\n' "$1"
    eval "$1"
}

show "training-db upgrade"
show "python examples/molecules.py"
show "training-db runs list --columns run_id,status,gradient_method,duration_seconds,final_loss"
show "training-db runs list 'objective.QED > 0.6 and objective.logP < 1' --columns run_id,run_name"
show "training-db runs best objectives/QED_maximize/raw_mean --mode max --limit 3"
show "training-db history show 1 loss grad_norm entropy --limit 5"
show "training-db history search grad_norm --above 0.2 --limit 5"
show "training-db stats"
show "training-db history plot 1 loss entropy --smooth 0.9"
show "training-db analyze groups gradient_method --objective QED --objective SA"
show "training-db analyze pareto QED:max SA:min"
show "training-db report --kind project -o demo.html"
