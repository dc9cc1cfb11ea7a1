# Needs Python 3.11 or newer, make and git; everything else goes into .venv, by hash.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do command -v $$p >/dev/null && \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' && { echo $$p; break; }; done)
WORKERS ?= 2
ARGS ?=
BIN := .venv/bin
READY := .venv/ready
MAKEFLAGS += --no-print-directory

.PHONY: demo test check bench prove wheel docs format lock clean
.DEFAULT_GOAL := test

demo: $(READY)
	@$(BIN)/hakari demo $(ARGS)

test: $(READY)
	@echo "test: unit, property, cases, conformance, simulation, system"
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS)

check: $(READY)
	@echo "check: ruff";          $(BIN)/ruff check --quiet .
	@echo "check: format";        $(BIN)/ruff format --quiet --check . || { echo "check: run 'make format'" >&2; exit 1; }
	@echo "check: mypy";          $(BIN)/mypy --no-error-summary
	@echo "check: imports";       out=$$($(BIN)/lint-imports --no-cache 2>&1) || { echo "$$out"; exit 1; }
	@echo "check: docs";          $(BIN)/python -m pytest -q --no-header tests/unit/test_docs.py

bench: $(READY)
	@$(BIN)/python -m bench $(ARGS)

prove: $(READY)
	@echo "prove: the long campaigns, hours"
	@$(BIN)/python -m pytest -q -n $(WORKERS) -m prove --timeout=86400 $(ARGS)

wheel: $(READY)
	@echo "wheel: dist/, and its SHA-256"
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check . --no-deps --no-build-isolation -w dist
	@$(BIN)/python -m pip hash --disable-pip-version-check dist/*.whl

docs: $(READY)
	@for page in configuration commands methodologies meters; do echo "docs: docs/$$page.md"; \
		$(BIN)/python docs/$$page.py > docs/$$page.part && mv docs/$$page.part docs/$$page.md || { rm -f docs/$$page.part; exit 1; }; done
	@echo "docs: grafana/";       $(BIN)/python -m grafana.build

format: $(READY)
	@$(BIN)/ruff check --quiet --fix . ; $(BIN)/ruff format --quiet .

lock: $(READY)
	@echo "lock: requirements.lock"
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra all --extra dev --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate --output-file requirements.lock pyproject.toml $(ARGS)
	@! grep -n "://" requirements.lock

clean:
	@rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "hakari needs Python 3.11 or newer; install it, or say make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "set-up: .venv from requirements.lock (once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
