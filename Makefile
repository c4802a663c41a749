# SPDX-License-Identifier: GPL-2.0-or-later
# In an OpenWrt buildroot or SDK: the packages netpath and luci-app-netpath (openwrt.mk).
# By itself: make demo | test | bench | torture | soak | fuzz | lint | ipk | clean    (README.md says what each does)

ifneq ($(wildcard $(TOPDIR)/rules.mk),)

include $(dir $(lastword $(MAKEFILE_LIST)))openwrt.mk

else

PYTHON ?= python3
VENV := .venv
# Namespaces want root; sudo drops the environment, so what the programs read from it is handed on.
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
RUN := $(SUDO) env PYTHONDONTWRITEBYTECODE= KEEP='$(KEEP)' HYPOTHESIS_PROFILE='$(or $(HYPOTHESIS_PROFILE),netpath)' $(VENV)/bin/python

.PHONY: all setup pages root demo test lint bench torture soak fuzz ipk clean

all:
	@echo "make demo   a little internet on this machine: watch NetPath fail over"
	@echo "make test   lint and every test"
	@echo "make torture  random faults under traffic: is every packet where it belongs?"
	@echo "make fuzz   hostile inputs, found by coverage (docs/testing.md)"
	@echo "make bench  measure the budgets"
	@echo "make soak   the demo's network for an hour, with faults: does anything drift?"
	@echo "make lint   ruff, mypy and eslint"
	@echo "make ipk    packages for OpenWrt in dist/, without an SDK"
	@echo "make clean  remove what the others made here"

setup: $(VENV)/.ready

$(VENV)/.ready: tools/setup requirements-dev.txt pyproject.toml
	@PYTHON='$(PYTHON)' VENV='$(VENV)' tools/setup
	@touch $@

# What the pages are tested with is large, and nothing else wants it.
pages: node_modules/.ready

node_modules/.ready: tools/setup package.json package-lock.json
	@PYTHON='$(PYTHON)' VENV='$(VENV)' PAGES=1 tools/setup
	@touch $@

root:
	@test -z "$(SUDO)" || command -v sudo >/dev/null || \
		{ echo "This makes network namespaces: run make as root, or install sudo." >&2; exit 1; }

demo: root setup
	$(RUN) -m netpath.lab.demo

test: root setup pages lint
	# Most of it waits for packets; a file's tests stay together, as they share what they set up.
	$(RUN) -m pytest -n 4 --dist loadfile

MINUTES ?= 10

torture: root setup
	$(RUN) -m tests.torture --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

# Coverage-guided; `make test` has the same targets with hypothesis. TARGET=all|NAME... SECONDS=of each
fuzz: setup
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-fuzz.txt
	$(VENV)/bin/python -m tests.fuzz $(or $(TARGET),all) --seconds $(or $(SECONDS),60)

lint: setup pages
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	node_modules/.bin/eslint .

bench: root setup $(VENV)/.bench
	$(RUN) -m bench

# What draws the curves in docs/ is large, and nothing else wants it.
$(VENV)/.bench: $(VENV)/.ready requirements-bench.txt
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@

TIME ?= 1h

soak: root setup
	$(RUN) -m netpath.lab.soak --time '$(TIME)' --seed '$(or $(SEED),1)' $(if $(OUT),--out '$(OUT)')

# The standard library is enough for it, and the binding that it packs too is on PyPI.
ipk:
	$(PYTHON) tools/ipk.py

# Python run as root has left files of root.
clean:
	$(SUDO) rm -rf $(VENV) node_modules build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	$(SUDO) find netpath bench tests -name __pycache__ -prune -exec rm -rf {} +

endif
