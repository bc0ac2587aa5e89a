# Everything a person or CI does with a checkout. `make help` lists it.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PREPARED := prepared

.DEFAULT_GOAL := help
.PHONY: help setup clients report test check lint types lab bench lock clean

help: ## list what can be made
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

$(VENV)/ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

setup: $(VENV)/ready ## create .venv from the lock file

# `make test` needs npm only where it is there: elsewhere the tests of JavaScript trackers are skipped, and say so
NODE := tests/clients/node
CLIENTS := $(NODE)/node_modules/.package-lock.json

$(CLIENTS): $(NODE)/package.json $(NODE)/package-lock.json
	npm --prefix $(NODE) ci --ignore-scripts --no-audit --no-fund --loglevel error
	touch $@

clients: $(CLIENTS) ## install the JavaScript trackers that tests send events with

report: setup ## prepare the sample log, run every notebook, publish the reports
	$(BIN)/eventlib prepare data/sample.ndjson.gz --out $(PREPARED)
	$(BIN)/eventlib report --prepared $(PREPARED) --out reports

test: setup $(if $(shell command -v npm),clients) ## run the tests
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

check: lint types test ## lint, types, tests: what CI runs

lab: setup ## open JupyterLab on the notebooks
	EVENTLIB_PREPARED=$(abspath $(PREPARED)) $(BIN)/jupyter lab --notebook-dir notebooks

bench: setup ## measure against peers and limits; prints tables
	$(BIN)/python -m benchmarks.prepare
	$(BIN)/python -m benchmarks.peers
	$(BIN)/python -m benchmarks.incremental
	$(BIN)/python -m benchmarks.validate
	$(BIN)/python -m benchmarks.sources
	$(BIN)/python -m benchmarks.consent
	$(BIN)/python -m benchmarks.identity_speed
	$(BIN)/python -m benchmarks.identity --simulate 40000
	$(BIN)/python -m benchmarks.visibility
	$(BIN)/python -m benchmarks.geo_coverage 40
	$(BIN)/python -m benchmarks.geo_edits 10
	$(BIN)/python -m benchmarks.geo_speed
	$(BIN)/python -m benchmarks.prompt_clusters
	$(BIN)/python -m benchmarks.click_models 20
	$(BIN)/python -m benchmarks.explanations 5
	$(BIN)/python -m benchmarks.exposure 5
	$(BIN)/python -m benchmarks.scoring
	$(BIN)/python -m benchmarks.lambdarank 5
	$(BIN)/python -m benchmarks.feedback 20 60
	$(BIN)/python -m benchmarks.signal_intervals 16 3
	$(BIN)/python -m benchmarks.gates 20
	$(BIN)/python -m benchmarks.ranking_clusters 2

lock: $(VENV)/ready ## write requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
		--group dev --extra spark --extra lightgbm pyproject.toml --output-file requirements.lock

clean: ## remove what was made, the environment included
	rm -rf $(VENV) $(PREPARED) $(NODE)/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
