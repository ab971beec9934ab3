# Everything a fresh clone needs: `make demo` and `make test` make .venv on first use. Python 3.11 to 3.13.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check format stubs bench coverage clean help

help:
	@echo "make demo   weigh two real models on this machine, with a report"
	@echo "make test   run every test, with coverage"
	@echo "make check  linters, types, import rules, protobuf rules, committed stubs"
	@echo "make bench  benchmarks against peers (docs/benchmarks.md); long"

# The stamp is renewed when what is installed could change.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Steelyard's controller needs Python 3.11 to 3.13; $(PYTHON) is another: make PYTHON=python3.11"; exit 2; }
	@echo "installing into $(VENV) (once)"
	@$(BIN)/python -m pip install -q --upgrade pip
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/steelyard demo

test: $(STAMP)
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/buf lint protos
	$(BIN)/buf breaking protos --against protos/baseline.binpb
	PYTHON=$(BIN)/python tools/check_stubs.sh

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

stubs: $(STAMP)
	PYTHON=$(BIN)/python tools/generate_stubs.sh

bench: $(STAMP)
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf $(VENV) .venv-stubs .coverage* dist build
