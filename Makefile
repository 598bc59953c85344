# Every target sets up the virtual environment itself, once; PYTHON and VENV may be overridden.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# How many SIGKILLs `make soak` deals out; a fifth of them to sweeps that really train.
KILLS ?= 1000

# The other files of bench/ are what these use.
BENCHES := $(shell grep -l '^from results import' bench/*.py)

.PHONY: demo test test-slow soak lint fix bench

demo: $(READY)  ## train the digits recipe at three lengths and print what each costs and gives
	$(BIN)/sweep run --ratios 0.25,0.5,1.0

test: $(READY)  ## all tests but the slow ones, two at a time: on the CPU most of them wait for a process to start
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: $(READY)  ## the slow ones: sweeps that train for a while, and are killed meanwhile; pages in a browser
	@command -v chromium > /dev/null || .ci/install chromium || echo "no chromium: the tests of pages are skipped"
	$(BIN)/python -m pytest -n 2 -m slow

soak: $(READY)  ## a storm of KILLS kills, an hour of it; fails where a record is lost
	folder=$$(mktemp -d) && $(BIN)/python tests/faults/storm.py "$$folder" $(KILLS) $$(( $(KILLS) / 5 )) && rm -r "$$folder"

lint: $(READY)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## every bench of bench/, one after the other, hours of it; writes bench/results.md and gates nothing
	$(BIN)/sweep data get FashionMNIST
	set -e; for bench in $(BENCHES); do echo "$$bench"; $(BIN)/python "$$bench"; done

fix: $(READY)  ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: $(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@
