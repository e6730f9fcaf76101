# Two commands do everything: `make reproduce` and `make test`.

# The first Python of a supported version.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$p && break; done)
VENV   := .venv
BIN    := $(VENV)/bin
SCALE  ?= mini
DATA   ?= mini

.PHONY: reproduce test lint docs mutation clean help

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

docs: $(VENV)/.ready        ## the API reference and the notebooks, run, as pages in build/docs
	$(BIN)/python docs/build.py

mutation: $(VENV)/.ready    ## mutants of the estimator, the errors and the bounds: those no test notices
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,mutation]'
	T3_HYPOTHESIS=quick $(BIN)/mutmut run --max-children 2
	$(BIN)/mutmut results

clean:           ## remove the environment, all runs and the pages
	rm -rf $(VENV) runs mutants build

# One installation, renewed when the packaging changes.
$(VENV)/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none was found (set PYTHON=…)" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,docs]'
	touch $@
