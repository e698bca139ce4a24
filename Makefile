PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test check clean
.DELETE_ON_ERROR:

demo: $(STAMP)  ## a whole study on the packaged panel: spillover-demo/report/report.html
	$(BIN)/spillover demo

test: $(STAMP)  ## the whole test-suite
	$(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

check: $(STAMP)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build && $(BIN)/python -m pip install -q --no-deps --target build/types .
	cd build/types && MYPYPATH=. ../../$(BIN)/python -m mypy --config-file ../../pyproject.toml -p spillover

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "spillover needs Python 3.11 or later: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) build spillover-demo
