# Everything a fresh clone needs: `make demo` and `make test` make .venv on first use. Python 3.11 to 3.13.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# tflite-runtime needs numpy below 2: a runtime environment of its own (docs/runtimes.md).
TFLITE_VENV := .venv-tflite
TFLITE_STAMP := $(TFLITE_VENV)/.installed
# An older onnxruntime, as somebody has it who looks for the release that made a model slower.
OLDER_VENV := .venv-older
OLDER_STAMP := $(OLDER_VENV)/.installed

.PHONY: demo test test-arm chaos fuzz check format stubs bench bench-compress bench-nightly bench-train bench-scale coverage clean help

help:
	@echo "make demo   weigh two real models on this machine, with a report"
	@echo "make test   run every test, with coverage"
	@echo "make test-arm  the agent under 64-bit Arm emulation (docs/emulation.md); Debian or Ubuntu on x86_64"
	@echo "make chaos  1,000 faults over a fleet of processes, 100 MB over a bad network (docs/chaos.md); an hour, goes on where it stopped"
	@echo "make fuzz   damaged and absurd input for every reader and RPC (docs/threat-model.md); an hour, goes on where it stopped"
	@echo "make check  linters, types, import rules, protobuf rules, committed stubs"
	@echo "make bench  benchmarks against peers (docs/benchmarks.md); long"
	@echo "make bench-nightly  60 nights of a simulated fleet, beside other detectors of changes"
	@echo "make bench-scale  10,000 agents on one controller, beside bare grpc.aio"
	@echo "make bench-compress  compression beside other quantizers; STEELYARD_BENCH_MODELS names the models' folder"
	@echo "make bench-train  training beside other tools; STEELYARD_BENCH_MODELS names the models' folder"

# The stamp is renewed when what is installed could change.
$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "Steelyard's controller needs Python 3.11 to 3.13; $(PYTHON) is another: make PYTHON=python3.11"; exit 2; }
	@echo "installing into $(VENV) (once)"
	@$(BIN)/python -m pip install -q --upgrade pip
	@$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

# Its last release has wheels for Linux and Python 3.11 at most; elsewhere its tests are deselected, and that is said.
$(TFLITE_STAMP): $(STAMP) tools/requirements-tflite.txt
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11) or sys.platform != "linux")'; then \
	  echo "installing tflite-runtime into $(TFLITE_VENV) (once)"; \
	  test -x $(TFLITE_VENV)/bin/python || $(BIN)/python -m venv $(TFLITE_VENV) || exit 1; \
	  $(TFLITE_VENV)/bin/python -m pip install -q -r tools/requirements-tflite.txt && touch $(TFLITE_STAMP); \
	else \
	  rm -f $(TFLITE_STAMP); \
	  echo "tflite-runtime cannot be tested here: it needs Python 3.11 on Linux; its tests are deselected"; \
	fi

$(OLDER_STAMP): $(STAMP) tools/requirements-older.txt
	@echo "installing an older onnxruntime into $(OLDER_VENV) (once)"
	@test -x $(OLDER_VENV)/bin/python || $(BIN)/python -m venv $(OLDER_VENV)
	@$(OLDER_VENV)/bin/python -m pip install -q -r tools/requirements-older.txt
	@touch $(OLDER_STAMP)

demo: $(STAMP)
	$(BIN)/steelyard demo

# A file's tests stay together: many share a controller that is started once.
TEST_PROCESSES ?= 3
test: $(STAMP) $(TFLITE_STAMP) $(OLDER_STAMP)
	$(BIN)/coverage erase
	@set -- -n $(TEST_PROCESSES) --dist loadfile; \
	  test -e $(TFLITE_STAMP) || set -- "$$@" -m "not tflite_environment"; \
	  echo $(BIN)/python -m tests.whole_run "$$@"; $(BIN)/python -m tests.whole_run "$$@"
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

# The script does nothing where .arm-root is up to date.
test-arm: $(STAMP)
	$(BIN)/python tools/arm/build_root.py
	$(BIN)/python -m pytest tests/arm

# Progress and what crashed in .fuzz/; remove that folder to begin anew.
FUZZ_SECONDS ?= 3600
fuzz: $(STAMP)
	$(BIN)/python -m tests.fuzzing --seconds $(FUZZ_SECONDS)

# Outcomes in .chaos/results.jsonl; remove that folder to begin anew.
chaos: $(STAMP)
	$(BIN)/python -m tests.chaos
	$(BIN)/python -m tests.chaos.slow_network

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

# The peers' environments (.venv-bench-*) are made on first use; benchmarks/compression/README.md has the models.
bench-compress: $(STAMP)
	$(BIN)/python -m benchmarks.run static_int8 repair calibration_memory sparse_encoding kernel_costs advice

# Each goes on where it stopped; benchmarks/compression/README.md has the models.
bench-train: $(STAMP)
	$(BIN)/python -m benchmarks.run lifter qat structured_pruning distillation half_minilm hybrid latency_target

# Deterministic; the other detectors' environments (.venv-bench-asv, .venv-bench-otava) are made on first use.
bench-nightly: $(STAMP)
	$(BIN)/python -m benchmarks.run nightly

# 10,000 agents need some 2 GB of memory and `ulimit -Hn` of 11,000 or more; ten minutes.
bench-scale: $(STAMP)
	GRPC_VERBOSITY=NONE $(BIN)/python -m benchmarks.run scale

clean:
	rm -rf $(VENV) $(TFLITE_VENV) $(OLDER_VENV) .arm-root .venv-stubs .coverage* dist build
