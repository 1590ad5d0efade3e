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
show "training-db stats"
