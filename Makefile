# DashFlow's commands; `make help` lists them. Each one prepares what it needs in .venv by itself:
# the stamps below depend on pyproject.toml, so that running a command again is quick.

VENV   := .venv
PY     := $(VENV)/bin/python
READY  := $(VENV)/.ready-
PYTHON ?=

# What `make demo` looks at, and what pytest gets on top: make demo ON=path, make test ARGS="-k log"
ON   ?= examples/audit
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help demo test simulate soak bench check lint format types layers docs features audit package setup clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help: ## Show this list
	@echo "DashFlow. The first two need nothing but Python >= 3.11, git, make and the package index:"
	@sed -n 's/^\([a-z]*\):.*## \(.*\)$$/  make \1|\2/p' Makefile | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'

demo: $(READY)demo ## Run the demo goal on examples/audit (ON=path for any other folder)
	@$(PY) scripts/demo.py "$(ON)"

test: $(READY)dev ## Run all tests with reduced counts (ARGS="..." goes to pytest)
	@echo "==> Tests: everything except the soak counts, on two processes"
	@$(PY) -m pytest -m "not soak" -n 2 --dist worksteal $(ARGS)

simulate: $(READY)dev ## Simulate crashes: 100,000 cases (ARGS="--minutes 0": without end)
	@echo "==> Simulation: crash points x schedules of the real engine, on all cores"
	@$(PY) -m tests.simulation $(ARGS)

soak: $(READY)dev ## Run the full counts of the crash and property tests; takes long
	@echo "==> Soak: full counts of crash and property tests"
	@DASHFLOW_TEST_PROFILE=soak $(PY) -m pytest -m soak --timeout 0 $(ARGS)

bench: $(READY)bench ## Measure DashFlow beside LangGraph (installed into .venv-bench)
	@echo "==> Benchmarks: DashFlow and LangGraph, side by side in one run"
	@$(PY) -m benchmarks $(ARGS)

check: ## Do everything that CI does
	@.ci/run

lint: $(READY)dev ## Check format and lint
	@echo "==> Format and lint"
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .

format: $(READY)dev ## Format the code and fix what can be fixed by itself
	@echo "==> Formatting"
	@$(PY) -m ruff check --fix-only --quiet .
	@$(PY) -m ruff format .

types: $(READY)dev ## Check types (mypy, strict)
	@echo "==> Types"
	@$(PY) -m mypy

layers: $(READY)dev ## Check that imports only point down
	@echo "==> Layers"
	@$(VENV)/bin/lint-imports

features: $(READY)dev ## Regenerate the pages that are made from code and tests
	@echo "==> Regenerating docs/features.md, docs/index.md, docs/reference/cli.md and docs/reference/events.md"
	@$(PY) scripts/features.py
	@$(PY) scripts/guarantees.py
	@$(PY) scripts/cli_reference.py
	@$(PY) scripts/event_reference.py
	@$(PY) scripts/chaos_reference.py

docs: $(READY)dev ## Build the documentation into site/, strictly
	@echo "==> Documentation into site/"
	@$(PY) -m mkdocs build --strict
	@echo "open site/index.html"

package: $(READY)dev ## Build sdist and wheel, and try the wheel in a new environment
	@echo "==> Package"
	@rm -rf dist
	@$(PY) -m build --quiet
	@$(PY) scripts/smoke.py dist build/smoke

audit: package ## Look for known vulnerabilities in what users install
	@echo "==> Security audit of the installed wheel's dependencies"
	@$(PY) scripts/audit.py build/smoke

setup: $(READY)dev ## Prepare .venv for development
	@echo "==> .venv is ready: $$($(PY) --version)"

clean: ## Remove what these commands made, .venv included; logs and reports stay
	@echo "==> Removing .venv, .venv-bench, caches and build products"
	@rm -rf $(VENV) .venv-bench build dist site .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache \
	    .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

# -- the environment ----------------------------------------------------------------------------

# An environment that no longer starts (moved folder, upgraded interpreter) is made anew.
$(READY)%: pyproject.toml scripts/find-python
	@if ! $(PY) -c 'import pip' >/dev/null 2>&1; then \
	    python=$$(PYTHON="$(PYTHON)" scripts/find-python) || exit 1; \
	    echo "==> Making $(VENV) with $$python"; \
	    rm -rf $(VENV) && "$$python" -m venv $(VENV); \
	fi
	@echo "==> Installing DashFlow with its $* tools into $(VENV) (once; again when pyproject.toml changes)"
	@$(PY) -m pip install --quiet --editable '.[$*]'
	@touch $@ && if [ "$*" = dev ]; then touch $(READY)demo $(READY)bench; fi
