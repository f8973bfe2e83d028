# Everything runs in .venv, built from requirements.lock; nothing else on the machine is used. `make demo` is the start.
# uv builds it where it is installed, else pip.
PYTHON ?= $(firstword $(foreach version,3.11 3.12 3.13,$(shell python$(version) -c 'print("python$(version)")' 2>/dev/null)))
UV ?= $(shell command -v uv)
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# On Linux without a GPU, TORCH_INDEX spares a download of several GB (README, "Set-up").
TORCH := $(shell sed -n 's/^\(torch==[0-9.]*\).*/\1/p' requirements.lock)

# Else every command compiles this project again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test test-slow lint docs bench simulate lock ruff format mypy imports spelling sql

setup: .venv/.installed

# The lock file is complete, and so nothing has to be resolved but what the chosen build of torch needs of its own. With uv,
# torch is installed without pyproject.toml's metadata for it: a CUDA build needs libraries that the lock leaves out. pip would
# compile on one core, so all is compiled at the end; a few packages hold templates that cannot be.
.venv/.installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)$(UV)" || { echo "Python 3.11, 3.12 or 3.13 is needed: install one, or name it with PYTHON=..."; exit 1; }
	@echo "Building .venv from requirements.lock; takes some minutes."
ifneq ($(UV),)
	@test -x $(BIN)/python || $(UV) venv --quiet --seed $(if $(PYTHON),--python $(PYTHON)) .venv
	@grep -v '^torch==' requirements.lock > .venv/without-torch.txt
	@$(UV) pip install --quiet --python .venv --no-deps -r .venv/without-torch.txt
	@$(UV) pip install --quiet --no-config --python .venv $(TORCH) --constraints requirements.lock $(if $(TORCH_INDEX),--index "$(TORCH_INDEX)")
	@$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation -e .
else
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@grep -v '^torch==' requirements.lock > .venv/without-torch.txt
	@$(PIP_INSTALL) --no-deps --no-compile -r .venv/without-torch.txt
	@$(if $(TORCH_INDEX),PIP_EXTRA_INDEX_URL="$(TORCH_INDEX)") $(PIP_INSTALL) --no-compile $(TORCH) -c requirements.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
endif
	@$(BIN)/python -W ignore -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true
	@$(BIN)/python -m flows.server.app prepare
	@$(BIN)/python -m sentiment.registry.store --prepare
	@touch $@

demo: setup
	$(BIN)/sentiment demo

# What is slow or random, such as kills at any moment, is `test-slow`; .ci/run runs both.
test: setup
	$(BIN)/python -m pytest -m "not slow"

test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: setup
	$(MAKE) --no-print-directory -j 2 mypy sql ruff format imports spelling

mypy:
	$(BIN)/mypy

sql:
	$(BIN)/sqlfluff lint --processes 2 --disable-progress-bar sql

ruff:
	$(BIN)/ruff check .

format:
	$(BIN)/ruff format --check .

imports:
	$(BIN)/lint-imports --no-cache

spelling:
	$(BIN)/codespell sentiment flows sql tests benchmarks simulations docs deployments *.md Makefile

# The docs as a site in build/docs, to be opened from the disk.
docs: setup
	NO_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --strict --quiet

# Speed, memory and accuracy.
bench: setup
	$(BIN)/python -m benchmarks

# Kills, planted flaws, a year of files: an hour and a half.
simulate: setup
	$(BIN)/python -m simulations

# After a change in pyproject.toml; look at what moves before it is committed. `make lock UPGRADE=--upgrade` takes what is new.
lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras $(UPGRADE) --no-emit-index-url \
		--no-emit-find-links --no-header pyproject.toml --output-file requirements.lock
