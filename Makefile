# `make help` lists the targets; whatever needs the virtual environment makes it first.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
REQUIREMENTS := requirements.txt requirements-dev.txt requirements-fairseq.txt requirements-serve.txt

# The Python that the virtual environment is made with: the first of these that fits.
FITS := import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12), (3, 13)})
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3 python; do \
	"$$python" -c '$(FITS)' 2>/dev/null && { echo "$$python"; break; }; done)

# Which torch: `make install TORCH='torch==2.7.1'`. The stamp remembers the choice, so later
# targets keep it, and another choice installs again.
STAMP := $(VENV)/installed-torch
INSTALLED_TORCH := $(shell cat $(STAMP) 2>/dev/null)
TORCH ?= $(or $(INSTALLED_TORCH),torch==2.13.0)
ifneq ($(TORCH),$(INSTALLED_TORCH))
.PHONY: $(STAMP)
endif

DEMO := $(BIN)/snakemake -s examples/workflow/Snakefile --configfile examples/demo.yaml

# One thread a process: the tests run in two processes.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

.PHONY: help install demo check test docs lint format clean

help: ## say what each target does
	@sed -nE 's/^([a-z]+):.*## (.*)/\1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '  make %-9s %s\n' "$$name" "$$text"; done

install: $(STAMP) ## make .venv with pinned versions (TORCH=... chooses the torch, PYTHON=... the Python)

$(STAMP): setup.py pyproject.toml $(REQUIREMENTS)
	@[ -x $(BIN)/python ] || "$(or $(PYTHON),false)" -c '$(FITS)' 2>/dev/null || { \
		echo "make: needs Python 3.11, 3.12 or 3.13 with venv; say where: make install PYTHON=python3.11" >&2; \
		exit 1; }
	@echo "installing $(TORCH), fairseq and the tools into $(VENV) (a few minutes)"
	@[ -x $(BIN)/python ] || "$(PYTHON)" -m venv $(VENV)
	@# pip would call it an error that fairseq goes without torchaudio (requirements-fairseq.txt)
	$(BIN)/python -m pip install -q --no-warn-conflicts --prefer-binary $(TORCH)
	$(BIN)/python -m pip install -q --no-warn-conflicts --prefer-binary \
		-r requirements.txt -r requirements-dev.txt
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then \
		echo "no fairseq wheel for this Python: compiling it (about five minutes)"; fi
	$(BIN)/python -m pip install -q --prefer-binary --no-deps --no-build-isolation \
		-r requirements-fairseq.txt -r requirements-serve.txt
	$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@echo '$(TORCH)' > $@

demo: install ## the whole of LAFT on real text, from English to French and Chinese, on a CPU (under 12 minutes)
	@$(DEMO) --unlock > /dev/null 2>&1 || true # a killed run leaves its folder locked
	$(DEMO) --cores 2

check: install lint ## lint, types, unit tests and house rules (a minute)
	$(PYTEST) tests/unit tests/house

test: install lint ## everything: check, the real commands tiny, the recipes (8 minutes)
	$(PYTEST) tests

docs: install ## the documentation as a site in site/, every link and page checked
	$(BIN)/python -m pip install -q --no-warn-conflicts --prefer-binary -r requirements-docs.txt
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build
	@echo "open site/index.html, or serve it, for the search: $(BIN)/python -m http.server -d site"

lint: install ## formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: install ## lay out the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove caches and build outputs; .venv stays
	rm -rf build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache
	find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +
