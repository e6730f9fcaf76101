# Two commands do everything: `make reproduce` and `make test`.

PYTHON ?= $(shell command -v python3.12 || command -v python3.11 || command -v python3.13 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
SCALE  ?= mini
DATA   ?= mini

.PHONY: reproduce test lint clean help

help:            ## list the commands
	@grep -E '^[a-z]+:.*##' Makefile | sed 's/:.*##/\t/'

reproduce: $(VENV)/.ready   ## regenerate the paper: simulations, language model, figures, claims, report
	$(BIN)/t3 reproduce --scale $(SCALE) --data $(DATA)

test: $(VENV)/.ready        ## linters, types, import contracts, doctests and tests
	$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.ready        ## what can be checked without running anything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:           ## remove the environment and all runs
	rm -rf $(VENV) runs

# One installation, renewed when the packaging changes.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11, 3.12 or 3.13 is needed, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,notebooks]'
	touch $@
