# Every target makes the virtual environment that it needs; nothing but Python >= 3.11, make and git must be there.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
VENV := .venv
BIN := $(VENV)/bin
EVENT ?= examples/simulated_track.json
OUTPUT ?= scan-output
PYTEST_OPTIONS ?= -n auto --dist loadfile

.PHONY: scan test lint bench docs pictures clean skyreader-env train-env

scan: $(VENV)/.runtime  ## set up, scan EVENT with all cores, write the map and pictures to OUTPUT
	$(BIN)/skymap-scanner scan "$(EVENT)" --output-dir "$(OUTPUT)"

# As in a scan's workers: with more threads than cores small products of matrices take ten times as long.
test: export OMP_NUM_THREADS = 1
test: export OPENBLAS_NUM_THREADS = 1
test: $(VENV)/.test  ## all tests; what needs ../shared or icecube-skyreader skips with a reason where that is absent
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

lint: $(VENV)/.lint  ## ruff, mypy --strict, codespell
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	for file in tests/*/conftest.py tests/*/*/conftest.py; do $(BIN)/mypy "$$file" || exit 1; done
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md docs src tests benchmarks examples

bench: $(VENV)/.test  ## speed and memory figures, printed (the scripts that make constants are not run)
	for name in data_sizes state_memory server_memory broker_throughput throughput light_speed event_display; do \
		echo "== $$name"; $(BIN)/python benchmarks/$$name.py || exit 1; done
	for name in splinempe_fit scan_events; do \
		echo "== $$name"; $(BIN)/python benchmarks/$$name.py "$(EVENT)" || exit 1; done

docs: $(VENV)/.docs  ## HTML pages in docs/_build/html; warnings are errors
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

pictures: $(VENV)/.runtime  ## the pictures in README and docs, from the example and a scan of it
	$(BIN)/skymap-scanner event plot examples/simulated_track.json --output docs/pictures/example_event.png
	$(BIN)/skymap-scanner scan examples/simulated_track.json --output-dir "$(OUTPUT)"
	cp "$(OUTPUT)"/run00000001.evt000000000001.neutrino_8_64_512_zoom.png docs/pictures/example_zoom.png

train-env: $(VENV)/.train  ## torch, for `skymap-scanner light make` and its test

skyreader-env: .venv-skyreader/.ready  ## an environment of its own for icecube-skyreader, which needs pandas < 3

clean:  ## remove environments, caches and built files, never results
	rm -rf .venv .venv-skyreader docs/_build build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.runtime: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e .
	touch $@

$(VENV)/.test $(VENV)/.lint $(VENV)/.docs $(VENV)/.train: $(VENV)/.%: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet -e ".[$*]"
	touch $@ $(VENV)/.runtime

.venv-skyreader/.ready: Makefile
	$(PYTHON) -m venv .venv-skyreader
	.venv-skyreader/bin/python -m pip install --quiet "icecube-skyreader==1.6.3" "pandas<3"
	touch $@
