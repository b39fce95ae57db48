# Two commands: `make scene` and `make test`. Both work in a fresh clone with python3 (3.11 or newer) and make.
#
#   make scene PROMPT="a small kitchen with a red fridge"     a sentence -> scene
#   make scene IMAGE=photo.jpg OUT=out/photo.usdz             a photo    -> scene
#   make test                                                 install what the tests need, run them
#   make TORCH_INDEX=<index url> scene                        take torch from another package index (CUDA, ROCm, ...)

PYTHON ?= python3
PROMPT ?= a warehouse aisle with blue shelves, three pallets and a forklift
IMAGE ?=
OUT ?= out/scene.usdz
TORCH_INDEX ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# Two processes share few cores on the machines this runs on; spinning OpenMP workers would slow both.
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: scene test lint clean

scene: $(VENV)/.installed
	@mkdir -p $(dir $(OUT))
	$(BIN)/lyra generate $(if $(IMAGE),--image "$(IMAGE)","$(PROMPT)") -o "$(OUT)"

# USD versions of older applications: the code that Kit may run is tested under each of them too.
USD_VERSIONS ?= 24.5 25.11

test: $(VENV)/.installed-dev $(USD_VERSIONS:%=$(VENV)/usd-%/.installed)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lyra-sim needs Python 3.11 or newer; run: make PYTHON=python3.11 ...")'
	@echo "Installing into $(VENV) (about a minute; once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(if $(TORCH_INDEX),$(PIP) --index-url "$(TORCH_INDEX)" torch)
	@$(PIP) --editable .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(PIP) --editable ".[physics,train,view,dev]"
	@touch $@

$(VENV)/usd-%/.installed: constraints.txt | $(VENV)/.installed
	@$(PYTHON) -m venv $(@D)
	@sed '/^usd-core==/d' constraints.txt > $(@D)/constraints.txt
	@$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(@D)/constraints.txt \
	    usd-core==$* numpy numba scipy scikit-image trimesh manifold3d fast-simplification plyfile \
	    && touch $@ || { echo "no usd-core $* for this Python: tests under it are skipped"; rm -rf $(@D); }

clean:
	rm -rf $(VENV) build dist *.egg-info
