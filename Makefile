# Commands: `make run`, `make demo` and `make test`. The rest are parts of them.
#
#   make run ARGS="--chat-port 6101"     settings are flags or environment variables
#   make demo                            in front of a small upstream of its own: no key, no network
#   make test PYTHON=python3.13 VENV=.venv313

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
CLIENTS := .clients

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: run demo test lint types unit clients docs record-fixtures golden-case bench bench-quick fuzz soak hostile lock audit clean

run: $(VENV)/.runtime
	@exec $(BIN)/python openai_proxy.py $(ARGS)

demo: $(VENV)/.runtime
	@exec $(BIN)/python openai_proxy.py --demo $(ARGS)

test: lint types unit

lint: $(VENV)/.development
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/.development
	$(BIN)/mypy

unit: $(VENV)/.development clients $(CLIENTS)/.anthropic-0 $(CLIENTS)/.llm $(CLIENTS)/.agents
	$(BIN)/python -m pytest -n auto --dist worksteal --cov --cov-report=term
	$(BIN)/python -m tests.support.pure_rooms

# Codex, Claude Code and other front ends at the versions that the tests were written for. Without npm those tests are skipped,
# except in CI (environment variable CI), where that is a failure.
clients: $(if $(shell command -v npm),$(CLIENTS)/.installed)

$(CLIENTS)/.installed: tests/clients/package.json
	@mkdir -p $(CLIENTS)
	cp tests/clients/package.json $(CLIENTS)/package.json
	npm install --prefix $(CLIENTS) --no-package-lock --no-audit --no-fund --no-progress --loglevel=error
	@# Fetches the program itself where npm does not run scripts of packages.
	node $(CLIENTS)/node_modules/@anthropic-ai/claude-code/install.cjs
	@touch $@

# The SDK as it was before its version 2, beside the newest one.
$(CLIENTS)/.anthropic-0: tests/clients/requirements-anthropic-0.txt | $(VENV)/.development
	@mkdir -p $(CLIENTS)
	$(PIP) --upgrade --target $(CLIENTS)/anthropic-0 -r tests/clients/requirements-anthropic-0.txt
	@touch $@

# A front end that would bring its own openai library into the tests' environment.
$(CLIENTS)/.llm: tests/clients/requirements-llm.txt | $(VENV)/.development
	@mkdir -p $(CLIENTS)
	$(PIP) --upgrade --target $(CLIENTS)/llm -r tests/clients/requirements-llm.txt
	@touch $@

# Libraries for agents, which rely on stored responses; they too would bring their own openai library.
$(CLIENTS)/.agents: tests/clients/requirements-agents.txt | $(VENV)/.development
	@mkdir -p $(CLIENTS)
	$(PIP) --upgrade --target $(CLIENTS)/agents -r tests/clients/requirements-agents.txt
	@touch $@

$(VENV)/.runtime: requirements.txt | $(BIN)/python
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.development: requirements.txt requirements-dev.txt | $(BIN)/python
	$(PIP) -r requirements-dev.txt
	@touch $@ $(VENV)/.runtime

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "python3-venv is needed: apt install python3-venv" >&2; exit 1; }

# The parts of the docs that are made from the code.
docs: $(VENV)/.development
	$(BIN)/python -m tests.support.docs

# The recordings that --retranslate is tested with, made anew by the real gateway. Read what changed.
record-fixtures: $(VENV)/.development
	$(BIN)/python -m tests.support.record_fixtures

# A recorded exchange becomes a golden case:
#   make golden-case LOG=traffic.jsonl EXCHANGE=3 CASE=responses-chat/what-is-odd-about-it
golden-case: $(VENV)/.development
	$(BIN)/python openai_proxy.py replay "$(LOG)" --export golden --exchange "$(EXCHANGE)" \
		--folder "tests/golden/$(CASE)"
	UPDATE_GOLDEN=1 $(BIN)/python -m pytest -q -p no:cacheprovider tests/test_golden.py -k "$(notdir $(CASE))"
	git status --short -- tests/golden

# What the gateway costs, see docs/performance.md; with LiteLLM beside it: make bench ARGS="--peer litellm --write"
bench: $(VENV)/.development
	$(BIN)/python -m benchmarks $(ARGS)

bench-quick: $(VENV)/.development
	$(BIN)/python -m benchmarks --quick $(ARGS)

# Random requests and answers through the whole application, see docs/reliability-clients.md
fuzz: $(VENV)/.development
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECS),600)

# The real gateway under mixed load, faults and clients that leave; prints what grew
soak: $(VENV)/.development
	$(BIN)/python -m tests.soak --seconds $(or $(SECS),600)

# How long others wait while 1,000 slow clients, bombs and floods are at work; the same requests before and meanwhile
hostile: $(VENV)/.development
	$(BIN)/python -m tests.hostile $(ARGS)

# What the image installs: requirements.txt and all it brings along, each file by its hash. Run it after a change there.
lock: $(VENV)/.development
	$(BIN)/pip-compile --quiet --generate-hashes --strip-extras --allow-unsafe --no-header \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host --output-file requirements.lock requirements.txt

# Known faults of what the image installs; asks a public database, so it is not part of the tests
audit: $(BIN)/python
	$(PIP) pip-audit
	$(BIN)/pip-audit --disable-pip --require-hashes --requirement requirements.lock

clean:
	rm -rf $(VENV) $(CLIENTS) .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
