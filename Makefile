# SPDX-License-Identifier: GPL-2.0-or-later
# make demo | test | bench | lint | clean    (README.md says what each does)

PYTHON ?= python3
VENV := .venv
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
RUN := $(SUDO) env PYTHONDONTWRITEBYTECODE= $(VENV)/bin/python

.PHONY: all setup demo test lint bench clean

all:
	@echo "make demo   a little internet on this machine: watch NetPath fail over"
	@echo "make test   lint and every test"
	@echo "make bench  measure the budgets"

setup: $(VENV)/.ready

$(VENV)/.ready: tools/setup requirements-dev.txt pyproject.toml
	PYTHON=$(PYTHON) VENV=$(VENV) tools/setup
	touch $@

demo: setup
	$(RUN) -m netpath.lab.demo

test: setup lint
	$(RUN) -m pytest

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check . 
	$(VENV)/bin/mypy

bench: setup
	$(RUN) -m bench

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
