# Thin names for commands that the README spells out.
# The first Python 3.11 there is; `make PYTHON=...` names another.
WORKS := import sys; sys.exit(sys.version_info[:2] != (3, 11))
PYTHON ?= $(or $(shell for it in python3 python3.11; do $$it -c "$(WORKS)" 2>/dev/null && echo $$it && break; done),python3)
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --disable-pip-version-check $(if $(CI),--quiet) --constraint constraints.txt
READY := $(VENV)/.ready
SITE := monailabel_app/site/index.html
BUILD_SITE = NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build

# Workers share the cores: one thread each. More than four workers wait for one another's servers and browsers.
# What Python has compiled is kept, whatever the environment says: every server that a test starts would compile it again.
export PYTHONDONTWRITEBYTECODE :=
PYTEST = $(VENV)/bin/python -m pytest -n $(WORKERS) --dist loadscope --no-loadscope-reorder --durations=25
WORKERS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); echo $$((cores < 4 ? cores : 4)))

.PHONY: demo test test-fast lint docs hooks slicer-venv clean

# The main job: environment, documentation, demo exam, archive, server, one synthesis, viewer address. ONCE=1 stops after the synthesis.
demo: $(READY) $(SITE)
	$(VENV)/bin/mammosynth demo $(if $(ONCE),--once) $(DEMO_ARGS)

# Everything. How long each test took is kept in test-report/.
test: $(READY)
	$(PYTEST) --junitxml=test-report/all.xml $(TEST_ARGS)

# What takes a third of a second at most and needs neither a server nor a browser: under a minute in all.
test-fast: $(READY)
	$(PYTEST) --junitxml=test-report/fast.xml -m "not slow and not e2e" $(TEST_ARGS)

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# The site, into monailabel_app/site: `mammosynth serve` shows it at /docs-site/, and a wheel takes it along.
docs: $(READY)
	$(BUILD_SITE)

# Of a checkout that was never built, so that Help leads somewhere from the first minute.
$(SITE): | $(READY)
	$(BUILD_SITE)

# The same before every commit.
hooks: $(READY)
	$(VENV)/bin/pre-commit install

# Three steps: pyradiomics 3.0.1 cannot build in isolation (its setup.py imports numpy), so it comes last.
$(READY): constraints.txt pyproject.toml
	@$(call refuse_other_than_3_11,$(or $(wildcard $(VENV)/bin/python),$(PYTHON)))
	@echo "Installing into $(VENV): about 5 minutes and 4 GB the first time"
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "[1/3] torch and build tools"
	$(PIP) torch numpy setuptools wheel hatchling editables
	@echo "[2/3] MammoSynth, MONAI Label and test tools"
	$(PIP) --no-build-isolation --editable ".[server,dev,docs,features]"
	@echo "[3/3] pyradiomics"
	$(PIP) --no-build-isolation --no-deps pyradiomics
	$(VENV)/bin/python -m pip check
	@touch $(READY)

# MONAI Label 0.8.5 imports distutils, which is not part of Python 3.12.
define refuse_other_than_3_11
$(1) -c "$(WORKS)" 2>/dev/null || { \
	echo "MammoSynth needs Python 3.11, because MONAI Label does not import on 3.12 and later; $(1) is \
$$($(1) --version 2>/dev/null || echo missing). Install python3.11 or name one: make PYTHON=/path/to/python3.11" >&2; exit 1; }
endef

# Slicer's MRML core, which needs numpy 2 and pydicom 3, in an environment of its own; its tests skip without it.
# dicomweb-client, and requests with it, are part of the Slicer application but not of its core.
slicer-venv: .venv-slicer/.ready
.venv-slicer/.ready: Makefile
	$(PYTHON) -m venv .venv-slicer
	.venv-slicer/bin/python -m pip install --disable-pip-version-check $(if $(CI),--quiet) slicer-core==5.12.4.0 dicomweb-client==0.60.1
	@touch $@

clean:
	rm -rf $(VENV) .venv-slicer .demo
