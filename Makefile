# Everything runs in .venv, built from requirements.lock; nothing else on the machine is used. `make demo` is the start.
PYTHON ?= python3.11
BIN := .venv/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Else every command compiles this project anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test lint bench lock

setup: .venv/.installed

# On Linux without a GPU, TORCH_INDEX spares a download of several GB (README, "Set-up"). The lock file is complete, and so
# nothing has to be resolved. pip would compile on one core; a few packages hold templates that cannot be compiled.
.venv/.installed: requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or name one with PYTHON=..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(if $(TORCH_INDEX),PIP_EXTRA_INDEX_URL="$(TORCH_INDEX)") $(PIP_INSTALL) --no-deps --no-compile -r requirements.lock
	$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null || true
	$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	$(BIN)/python -m flows.server.app prepare
	touch $@

demo: setup
	$(BIN)/sentiment demo

test: setup
	$(BIN)/python -m pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python -m benchmarks

# After a change in pyproject.toml; look at what moves before it is committed.
lock: setup
	$(BIN)/pip-compile --quiet --all-extras --strip-extras --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--allow-unsafe --output-file requirements.lock pyproject.toml
	sed -i.bak 's/^\(torch==[0-9.]*\)+cpu/\1/' requirements.lock && rm requirements.lock.bak
