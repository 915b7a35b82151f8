# Each target sets up what it needs. `make demo` and `make test` are all that a fresh machine needs.
# README says how long each takes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
ARGS ?=
# Tests wait more than they work: three processes on two cores, a file's tests in one of them.
PYTEST := $(BIN)/python -m pytest --numprocesses 3 --dist loadfile

.PHONY: setup demo test test-quick check specification fuzz docs docs-site man bench chaos screenshots walk sbom vulnerabilities lock clean

setup: $(VENV)/dev

demo: $(VENV)/run
	@$(BIN)/afterword demo $(ARGS)

test: $(VENV)/dev
	$(PYTEST) $(ARGS)

test-quick: $(VENV)/dev
	$(PYTEST) tests/unit tests/integration/test_limits_pure.py $(ARGS)

check: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) $(ARGS)

# The examples of CommonMark and GFM, which a test compares with GitHub's parser; without them it is skipped.
specification: $(VENV)/dev
	$(PIP) download --no-deps --no-binary markdown-it-py --dest build/specification "$$($(BIN)/python -m pip freeze | grep ^markdown-it-py==)"

# Random documents through GitHub's parser and ours; ARGS="--minutes 60 --seed 1".
fuzz: $(VENV)/dev
	$(BIN)/python -m tests.markup_tools.fuzz $(ARGS)

docs: $(VENV)/dev
	$(BIN)/python -m config > docs/configuration.md
	$(BIN)/python -m tests.conformance > docs/conformance.md

# The documentation as a site, in build/site. It fails for a link or an anchor that leads nowhere.
docs-site: $(VENV)/site
	$(BIN)/python docs/site/build.py $(ARGS)

# A man page for each command, in build/man: made from what --help shows.
man: $(VENV)/site
	@mkdir -p $(or $(ARGS),build/man)
	$(BIN)/click-man --target $(or $(ARGS),build/man) afterword

bench: $(VENV)/dev
	$(BIN)/python -m bench $(ARGS)

chaos: $(VENV)/dev
	$(BIN)/python -m tests.chaos $(ARGS)

screenshots: $(VENV)/dev
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

# From a fresh clone to a failure that is found and corrected, in a terminal and in Chromium: docs/walk.md with times and pictures.
walk: $(VENV)/dev
	$(BIN)/python -m tests.browser.walk

# What the product is made of, as CycloneDX: by default in sbom.json.
sbom: $(VENV)/dev
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --of JSON -o $(or $(ARGS),sbom.json) requirements.lock

# Known vulnerabilities of all pinned packages; it needs the network.
vulnerabilities:
	$(PYTHON) -m venv build/pip-audit
	build/pip-audit/bin/python -m pip --quiet --disable-pip-version-check install pip-audit
	build/pip-audit/bin/pip-audit --disable-pip --require-hashes --progress-spinner off -r requirements.lock $(ARGS)

lock: $(VENV)/dev
	$(BIN)/python -m pip --quiet install uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra tracing --upgrade pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --extra tracing --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --group site -c requirements-dev.lock -o requirements-site.lock
	for list in bench/peers/requirements/*.in tests/clients/requirements/*.in; do cd $(CURDIR)/$$(dirname $$list) && $(CURDIR)/$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header --upgrade $$(basename $$list) -o $$(basename $$list .in).txt || exit 1; done
	cd tests/clients/requirements/node && npm install --package-lock-only --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo 'Python 3.11 or newer is needed: make PYTHON=python3.12 …'; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/run: $(VENV)/venv requirements.lock pyproject.toml
	@echo 'Installing Afterword into $(VENV): about a minute, once …'
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/dev: $(VENV)/run requirements-dev.lock
	@echo 'Installing the test tools into $(VENV): about a minute, once …'
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/site: $(VENV)/run requirements-site.lock
	@echo 'Installing what builds the documentation into $(VENV): once …'
	@$(PIP) install --require-hashes -r requirements-site.lock
	@touch $@
