# Every target sets up the virtual environment itself, once; PYTHON and VENV may be overridden.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint fix bench

demo: $(READY)  ## train the digits recipe at three lengths and print what each costs and gives
	$(BIN)/sweep run --ratios 0.25,0.5,1.0

test: $(READY)  ## all tests, two at a time: on the CPU most of them wait for a process to start
	$(BIN)/python -m pytest -n 2

lint: $(READY)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(READY)  ## our training loop against a bare one; gates nothing
	$(BIN)/sweep data get FashionMNIST
	$(BIN)/python bench/loop.py

fix: $(READY)  ## mend what can be mended by itself
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "error: $(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@
