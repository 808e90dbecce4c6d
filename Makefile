# Every target sets up what it needs. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Ends the command when make itself dies, so that nothing is left behind (Linux).
GUARD := $(shell command -v setpriv >/dev/null 2>&1 && echo setpriv --pdeathsig TERM)

.DEFAULT_GOAL := help
.PHONY: help demo up test check format bench chaos record-history lock env clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

$(READY): requirements.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.txt
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## set everything up and take the sample report through its full cycle
	@exec $(GUARD) $(BIN)/longhaul demo

up: $(READY) ## start everything on this machine and stay; Ctrl-C stops all
	@exec $(GUARD) $(BIN)/longhaul up

# Many tests wait for a time-out, so four at once keep two cores busy.
test: $(READY) ## set everything up and run every test
	@exec $(GUARD) $(BIN)/python -m pytest -n 4 --dist loadfile $(ARGS)

check: $(READY) ## formatting, lint, types, imports
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/typos

format: $(READY) ## fix formatting and what lint can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## the benchmarks: ratios to peers measured in the same run
	@exec $(GUARD) $(BIN)/python -m bench $(ARGS)

chaos: $(READY) ## one long job while everything is killed, again and again
	@exec $(GUARD) $(BIN)/python -m bench.chaos $(ARGS)

record-history: $(READY) ## record workflow histories: make record-history KIND=pause_now
	$(BIN)/python -m scripts.record_history $(KIND)

lock: $(READY) ## resolve the dependencies again
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --extra local --extra dev pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-header --no-annotate --constraint requirements.txt pyproject.toml -o deploy/requirements.txt

env: $(READY) ## write .env.example from the settings
	$(BIN)/python -m longhaul.adapters.settings > .env.example

clean: ## remove what make has built here; data of `make up` stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
