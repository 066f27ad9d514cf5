.DEFAULT_GOAL := help
PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.installed
CODE := onhand schemas streams sinks tests bench

.PHONY: help venv demo test test-fast faults lint types imports format bench clean

help:  ## list these targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

venv: $(STAMP)  ## make .venv with onhand and all it needs

$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@

demo: $(STAMP)  ## the main job on a demo ERP, WMS and shop, judged and audited
	$(BIN)/onhand demo run

test: lint types imports  ## every check: lint, types, imports, then all tests on real stacks, in two processes
	$(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder

test-fast: lint types imports  ## every check that needs no servers
	$(BIN)/pytest -m 'not integration'

faults: $(STAMP)  ## LIVES (500) of the chain in memory, then break the running one, MINUTES (60); SEED repeats
	$(BIN)/python -m tests.machine --lives $(or $(LIVES),500) $(if $(SEED),--seed $(SEED))
	$(BIN)/python -m tests.campaign --minutes $(or $(MINUTES),60) $(if $(SEED),--seed $(SEED))

lint: $(STAMP)  ## ruff; never edits
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)

types: $(STAMP)  ## mypy, strict
	$(BIN)/mypy

imports: $(STAMP)  ## which layer may import which
	$(BIN)/lint-imports

format: $(STAMP)  ## let ruff edit
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

bench: $(STAMP)  ## throughput and latency, each beside its peer
	$(BIN)/python -m bench

clean:  ## stop the stack, delete its state and everything made here (not the download cache)
	test ! -x $(BIN)/onhand || $(BIN)/onhand down --wipe
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
