# make demo    try it: one command, one page
# make test    everything that is tested, Python and JavaScript, with one summary
# make lint    formats, lints and types
# make help    all targets

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help demo replicas test lint format bench build clean needs-python needs-node

help: ## show this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed ## run the hub in memory, with the demo page
	@$(BIN)/logout-hub serve --demo

replicas: $(VENV)/.installed-dev ## run a Redis and two replicas of the demo (see Procfile)
	@$(BIN)/honcho start

test: $(VENV)/.installed-dev node_modules/.installed ## run all tests
	@$(BIN)/python scripts/tools.py
	@$(BIN)/python scripts/test.py

lint: $(VENV)/.installed-dev node_modules/.installed ## check formats, lints and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	npm run --silent lint
	npm run --silent types

format: $(VENV)/.installed-dev node_modules/.installed ## mend formats
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .
	npm run --silent format

bench: $(VENV)/.installed-bench node_modules/.installed ## measure the hub beside its peers (BENCH=--quick for a short run)
	$(BIN)/python -m benchmarks $(BENCH)

.PHONY: attack
attack: $(VENV)/.installed-dev ## flood a hub and measure what its other users feel (ATTACK=--quick)
	$(BIN)/python -m benchmarks.attack $(ATTACK)

.PHONY: fuzz
FUZZ ?= --seconds 120
fuzz: $(VENV)/.installed-dev ## send a hub what no client sends, for long (FUZZ="--seconds 600")
	$(BIN)/python -m tests.fuzz $(FUZZ)

.PHONY: chaos mutants
CHAOS ?= --logouts 10000

chaos: $(VENV)/.installed-dev ## run replicas under faults and check the history (CHAOS="--seconds 60 --seed 7")
	$(BIN)/python -m tests.faults $(CHAOS)

mutants: $(VENV)/.installed-dev ## break the hub on purpose: the history checker must notice
	$(BIN)/python -m tests.faults.mutants

build: $(VENV)/.installed-dev ## build the wheel and the source distribution
	$(BIN)/python -m build --outdir dist

clean: ## remove what the other targets made
	rm -rf $(VENV) node_modules dist tmp

needs-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is missing: install it, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "Python's venv is missing: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }

needs-node:
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a == 20 && b >= 10) ? 0 : 1)' 2>/dev/null || { \
	  echo "Node 20.10 or newer is missing: see https://nodejs.org"; exit 1; }
	@command -v npm >/dev/null || { echo "npm is missing: it comes with Node"; exit 1; }

$(VENV)/.created: | needs-python
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/.installed: pyproject.toml | $(VENV)/.created
	@echo "installing the hub"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(VENV)/.installed
	@echo "installing what tests and lints need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	@touch $@

$(VENV)/.installed-bench: pyproject.toml | $(VENV)/.installed-dev
	@echo "installing what benchmarks need"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	@touch $@

node_modules/.installed: package.json package-lock.json | needs-node
	@echo "installing what the client's tests need"
	@npm ci --silent --no-fund --no-audit
	@touch $@
