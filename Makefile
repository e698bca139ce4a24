# The newest Python that is supported, unless one is given.
PYTHON ?= $(or $(shell .ci/pythons | head -n 1),python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS := $(VENV)/.installed-docs
SPREAD := -n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

.PHONY: demo test verify smoke check docs clean
.DELETE_ON_ERROR:

demo: $(STAMP)  ## a whole study on the packaged panel: spillover-demo/report/report.html
	$(BIN)/spillover demo

test: $(STAMP)  ## every law, oracle and refusal once
	$(BIN)/python -m pytest -q -m "not verify" $(SPREAD)

verify: $(STAMP)  ## the rest: the laws for every member of their tables, long chains, statistical checks, killed workers, docstrings, browsers
	$(BIN)/python -m pytest -q -m verify $(SPREAD)

smoke: $(STAMP)  ## imports, and fits against independent references: whether spillover works with this Python
	$(BIN)/python -m pytest -q -m "not verify" $(SPREAD) tests/engine/test_import.py tests/engine/estimation/test_exact.py tests/engine/estimation/test_ml_reference.py

check: $(STAMP)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	.ci/types $(BIN)/python

docs: $(DOCS)  ## the documentation, of the wheel, without a network: build/docs/html/index.html
	rm -rf build/lib build/bdist.* build/docs/wheel build/docs/package build/docs/doctrees build/docs/html docs/reference/generated
	$(BIN)/python -m pip wheel -q --no-deps --no-index --no-build-isolation --wheel-dir build/docs/wheel .
	$(BIN)/python -m pip install -q --no-deps --no-index --no-compile --target build/docs/package build/docs/wheel/*.whl
	PYTHONPATH=$(CURDIR)/build/docs/package $(BIN)/python -m sphinx -q -W --keep-going -d build/docs/doctrees docs build/docs/html

$(DOCS): $(STAMP)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[docs]"
	touch $(DOCS)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "spillover needs Python 3.11 or later: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[dev]"
	touch $(STAMP)

clean:
	rm -rf $(VENV) build spillover-demo docs/reference/generated
