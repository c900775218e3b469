# reproduce: the whole experiment · test · lint · dashboard: MLflow in the browser · plots: curves, on a page · clean: outputs,
# not the history
PYTHON ?= $(shell command -v python3.11 || command -v python3)
.PHONY: reproduce test lint dashboard plots clean

reproduce: .venv/installed
	.venv/bin/snakemake --cores all

test: .venv/installed
	.venv/bin/pytest -n 2

lint: .venv/installed
	.venv/bin/ruff check && .venv/bin/ruff format --check && .venv/bin/mypy

dashboard: .venv/installed
	.venv/bin/python -m partprop.pipeline.dashboard

plots: .venv/installed
	.venv/bin/python scripts/plots.py

clean: # keeps data/README.md, .venv, DVC's cache and MLflow's history: the next run restores what it can
	test ! -d data || find data -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
	rm -rf models/*.safetensors results dvc_plots reports/index.html reports/failures .snakemake build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache

.venv/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv .venv && .venv/bin/pip install --quiet --editable .[dev] && touch $@
