# make demo    try it: one command, one page
# make test    everything that is tested, Python and JavaScript, with one summary
# make lint    checks formatting, lint and types
# make help    all targets

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
.DEFAULT_GOAL := help
.PHONY: help demo replicas test lint format bench build lock audit clean needs-python needs-node

help: ## show this help
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed ## run the hub in memory, with the demo page
	@$(BIN)/logout-hub serve --demo

replicas: $(VENV)/.installed-dev ## run a Redis and two replicas of the demo (see Procfile)
	@$(BIN)/honcho start

test: $(VENV)/.installed-dev node_modules/.installed ## run all tests
	@$(BIN)/python scripts/tools.py
	@$(BIN)/python scripts/test.py

lint: $(VENV)/.installed-dev node_modules/.installed ## check formatting, lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	npm run --silent lint
	npm run --silent types
	$(BIN)/hadolint Dockerfile
	@$(BIN)/python scripts/audit.py

format: $(VENV)/.installed-dev node_modules/.installed ## format the code
	$(BIN)/ruff check --fix --quiet . || true
	$(BIN)/ruff format .
	npm run --silent format

bench: $(VENV)/.installed-bench node_modules/.installed ## measure the hub against its peers (BENCH=--quick for a short run)
	$(BIN)/python -m benchmarks $(BENCH)

.PHONY: attack
attack: $(VENV)/.installed-dev ## flood a hub and measure what its other users notice (ATTACK=--quick)
	$(BIN)/python -m benchmarks.attack $(ATTACK)

.PHONY: fuzz
FUZZ ?= --seconds 120
fuzz: $(VENV)/.installed-dev ## send a hub what no client sends (for long: FUZZ="--seconds 600")
	$(BIN)/python -m tests.fuzz $(FUZZ)

.PHONY: chaos mutants
CHAOS ?= --logouts 10000

chaos: $(VENV)/.installed-dev ## run replicas under faults and check the history (CHAOS="--seconds 60 --seed 7")
	$(BIN)/python -m tests.faults $(CHAOS)

mutants: $(VENV)/.installed-dev ## break the hub on purpose: the history checker must notice
	$(BIN)/python -m tests.faults.mutants

build: $(VENV)/.installed-dev ## build the wheels, the source distribution and their bill of materials
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/python -m build --no-isolation --wheel --outdir dist guard
	$(BIN)/cyclonedx-py requirements requirements/hub.txt --pyproject pyproject.toml --output-reproducible --output-format JSON --output-file dist/logout-hub.cdx.json

lock: $(VENV)/.installed-dev ## update requirements/ (LOCK=--upgrade for the newest versions)
	$(BIN)/python scripts/lock.py $(LOCK)

audit: $(VENV)/.installed-dev node_modules/.installed ## check locked packages for known vulnerabilities
	@$(BIN)/python scripts/audit.py

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

# Only what is locked, and only with the hashes that are locked.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

$(VENV)/.created: requirements/build.txt | needs-python
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) -r requirements/build.txt
	@touch $@

$(VENV)/.installed: pyproject.toml requirements/hub.txt $(VENV)/.created
	@echo "installing the hub"
	@$(INSTALL) -r requirements/hub.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.installed-dev: requirements/dev.txt $(VENV)/.installed
	@echo "installing what tests and lints need"
	@$(INSTALL) -r requirements/dev.txt
	@touch $@

$(VENV)/.installed-bench: requirements/bench.txt $(VENV)/.installed-dev
	@echo "installing what benchmarks need"
	@$(INSTALL) -r requirements/bench.txt
	@touch $@

node_modules/.installed: package.json package-lock.json | needs-node
	@echo "installing what the client's tests need"
	@npm ci --silent --no-fund --no-audit
	@touch $@
