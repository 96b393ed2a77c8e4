# `make run` and `make test` are all that a fresh checkout needs; `make help` lists the rest.

.DEFAULT_GOAL := help
.PHONY: help run test lint format torture bench install install-dev lock clean

VENV := .venv/bin/

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

run: install ## install what is missing, start the service, upload a sample film, say where to look
	@$(VENV)python scripts/run.py

test: lint ## everything that CI runs: format, lint, types, tests (two at a time: half of them wait for ffmpeg or a browser)
	$(VENV)python -m pytest -m "not torture" -n 2 --dist loadfile

lint: install-dev ## format, lint and types only
	$(VENV)ruff format --check .
	$(VENV)ruff check .
	$(VENV)mypy

format: install-dev ## let ruff format the code and sort the imports
	$(VENV)ruff format .
	$(VENV)ruff check --fix .

torture: install-dev ## the long kill, load and fuzz runs
	$(VENV)python -m pytest -m torture --timeout 0

bench: install-dev ## speed, as ratios to nginx and to ffmpeg alone, in the same run (some minutes)
	$(VENV)python -m bench

install: ## what `make run` needs: programs, .venv, browser libraries
	@sh scripts/packages.sh run
	@sh scripts/environment.sh run
	@sh scripts/frontend.sh run

install-dev: ## what `make test` needs on top
	@sh scripts/packages.sh test
	@sh scripts/environment.sh test
	@sh scripts/frontend.sh test

lock: install-dev ## re-make requirements*.txt from pyproject.toml (UPGRADE=1: newest versions)
	sh scripts/lock.sh

clean: ## remove what was installed or built; media/ stays
	rm -rf .venv build dist node_modules media_service/ui/vendor .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find media_service tests bench scripts -name __pycache__ -type d -prune -exec rm -rf {} +
