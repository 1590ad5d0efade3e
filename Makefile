# The door: `make demo` and `make test` work on a fresh machine with Python 3.11+.
PYTHON ?= python3
BIN := .venv/bin
# More than the cores, for tests wait for servers and processes.
JOBS ?= 5

.DEFAULT_GOAL := help

.PHONY: help
help:  ## Show what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable . --group dev
	@touch $@

.PHONY: demo
demo: .venv/installed  ## Train two runs of each method into demo.db, ask it questions, write demo.html
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

.PHONY: test
test: .venv/installed  ## Run every test on SQLite and on a real PostgreSQL
	$(BIN)/python -m pytest -n $(JOBS)

.PHONY: torture
torture: .venv/installed  ## Try the faults for long: kills, full disks, crowds, odd input
	TORTURE=1 $(BIN)/python -m pytest -n $(JOBS) -m "faults or torture"

.PHONY: coverage
coverage: .venv/installed  ## Run every test, and show which lines none of them ran
	$(BIN)/python -m pytest -n $(JOBS) --cov --cov-report=term

.PHONY: lint
lint: .venv/installed  ## Check style, types, the direction of imports, and for unsafe calls
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml src alembic

.PHONY: bench
bench: .venv/installed  ## Time the library beside the bare drivers
	$(BIN)/python -m benchmarks

.PHONY: scale
scale: .venv/installed  ## Measure each operation from 1,000 to 1,000,000 runs, and write docs/scaling.md
	$(BIN)/python -m benchmarks.scale

.PHONY: audit
audit: .venv/installed  ## Ask whether a package that is used has a known weakness
	$(BIN)/python -m tests.security.audit

.PHONY: docs
docs: .venv/installed  ## Write docs/cli.md and the pictures of the README anew (after make demo)
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_picture.py
