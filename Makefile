# Thin names for commands that the README spells out.
PYTHON ?= python3
VENV := .venv
PIP := $(VENV)/bin/python -m pip install --disable-pip-version-check $(if $(CI),--quiet) --constraint constraints.txt
READY := $(VENV)/.ready

.PHONY: demo test lint slicer-venv clean

# The main job: environment, demo exam, archive, server, one synthesis, viewer address. ONCE=1 stops after the synthesis.
demo: $(READY)
	$(VENV)/bin/mammosynth demo $(if $(ONCE),--once) $(DEMO_ARGS)

test: $(READY)
	$(VENV)/bin/python -m pytest $(TEST_ARGS)

lint: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# Three steps: pyradiomics 3.0.1 cannot build in isolation (its setup.py imports numpy), so it comes last.
$(READY): constraints.txt pyproject.toml
	@echo "Installing into $(VENV): about 5 minutes and 4 GB the first time"
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "[1/3] torch and build tools"
	$(PIP) torch numpy setuptools wheel hatchling editables
	@echo "[2/3] MammoSynth, MONAI Label and test tools"
	$(PIP) --no-build-isolation --editable ".[server,dev]"
	@echo "[3/3] pyradiomics"
	$(PIP) --no-build-isolation --no-deps pyradiomics
	$(VENV)/bin/python -m pip check
	@touch $(READY)

# Slicer's MRML core, which needs numpy 2 and pydicom 3, in an environment of its own; its tests skip without it.
# dicomweb-client, and requests with it, are part of the Slicer application but not of its core.
slicer-venv: .venv-slicer/.ready
.venv-slicer/.ready: Makefile
	$(PYTHON) -m venv .venv-slicer
	.venv-slicer/bin/python -m pip install --disable-pip-version-check $(if $(CI),--quiet) slicer-core==5.12.4.0 dicomweb-client==0.60.1
	@touch $@

clean:
	rm -rf $(VENV) .venv-slicer .demo
