# make run    the site with its demo people, on http://localhost:8000 (PORT=… for another)
# make test   every test, on SQLite and on PostgreSQL
# make fuzz-api   ask the API of a demo 3,000 and more made-up questions, as three people
# make bench-access  the access check beside a bare view: PostgreSQL, a million assignments
# make bench-chain  activations with the chain of the audit and without it: PostgreSQL
# make bench-reviews  how long a review of up to 50,000 accesses takes to begin: PostgreSQL
# make bench-audit  taking out and verifying a million events, beside what the database alone takes: PostgreSQL
# make bench-alerts  what a scan of each alert costs: PostgreSQL, a million assignments
# make bench-tamper  everything that can be done to a log of 200 events, and what both verifiers say of it
# make benchmark  what is too dear for every run: a CSV file of 10,000 rows
# make check  format, lint, types, import order, migrations, deployment checks
.DEFAULT_GOAL := run
.PHONY: run test test-sqlite test-postgres test-zones fuzz-api bench-access bench-chain bench-reviews bench-audit bench-alerts bench-tamper benchmark check format lock clean

PORT ?= 8000
PYTHON ?= python3
V := .venv
BIN := $(V)/bin
UV := $(shell command -v uv 2>/dev/null)
# More processes than two cores can run at once: some tests wait most of the time.
PARALLEL := --dist loadgroup -n
# Where it is set, each of the many processes that are started here would compile all of its program anew.
unexport PYTHONDONTWRITEBYTECODE

run: $(V)/.installed
	$(BIN)/python -m pim_site.demo.start --port $(PORT)

$(V)/bin/python:
ifdef UV
	uv venv --quiet --allow-existing --python $(PYTHON) $(V)
else
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo 'This needs the venv module of Python: apt-get install python3-venv'; exit 1; }
	$(PYTHON) -m venv $(V)
endif

# $(call install,<lock file>): exactly what the lock file names, each with its hash.
ifdef UV
install = VIRTUAL_ENV=$(V) uv pip install --quiet --compile-bytecode --require-hashes -r $(1)
else
install = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1)
endif

$(V)/.installed: requirements.txt | $(V)/bin/python
	$(call install,requirements.txt)
	$(BIN)/python -m pim_site.demo.empty
	@touch $@

$(V)/.installed-dev: requirements-dev.txt | $(V)/bin/python
	$(call install,requirements-dev.txt)
	$(BIN)/python -m pim_site.demo.empty
	@touch $@ $(V)/.installed

# Both at once: where the tests of one wait, those of the other work. Each report comes when it is whole.
test: $(V)/.installed-dev
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-sqlite test-postgres

# The browser tests run here only: what they look at is the page, and the database is asked by all the others.
test-sqlite: $(V)/.installed-dev
	PIM_TEST_DATABASE=sqlite $(BIN)/pytest $(PARALLEL) 3

# Pages are looked at on SQLite only (tests/conftest.py, PAGES).
# Nothing may depend on the zone of the database session: of two processes, one works west of UTC and one east of it,
# off by half an hour; which test falls to which changes from run to run. `make test-zones` runs all of it in both.
test-postgres: $(V)/.installed-dev
	PIM_TEST_DATABASE=postgres $(BIN)/pytest $(PARALLEL) 2 -m 'not browser'

test-zones: $(V)/.installed-dev
	PIM_TEST_DATABASE=postgres PIM_TEST_TIME_ZONE=America/Los_Angeles $(BIN)/pytest $(PARALLEL) 2 -m 'not browser'
	PIM_TEST_DATABASE=postgres PIM_TEST_TIME_ZONE=Asia/Kolkata $(BIN)/pytest $(PARALLEL) 2 -m 'not browser'

benchmark: $(V)/.installed-dev
	PIM_TEST_DATABASE=sqlite $(BIN)/pytest -p tests.conftest benchmarks
	PIM_TEST_DATABASE=postgres $(BIN)/pytest -p tests.conftest benchmarks

bench-access: $(V)/.installed-dev
	$(BIN)/python -m benchmarks.access

bench-chain: $(V)/.installed-dev
	$(BIN)/python -m benchmarks.chain

bench-reviews: $(V)/.installed-dev
	$(BIN)/python -m benchmarks.reviews

bench-audit: $(V)/.installed-dev
	$(BIN)/python -m benchmarks.audit

bench-alerts: $(V)/.installed-dev
	$(BIN)/python -m benchmarks.alerts

bench-tamper: $(V)/.installed-dev
	$(BIN)/python -m benchmarks.tamper

fuzz-api: $(V)/.installed-dev
	$(BIN)/python -m tests.fuzz

# The checks run under the settings of a real site, with keys of the moment and no database.
check: export PIM_DEBUG := 0
check: export PIM_DEMO := 0
check: export PIM_SECRET_KEY := $(shell head -c 48 /dev/urandom | base64 -w 0)
check: export PIM_FACTOR_KEYS := $(shell head -c 32 /dev/urandom | base64 -w 0 | tr '+/' '-_')
check: export PIM_ALLOWED_HOSTS := pim.example.org
check: export PIM_BASE_URL := https://pim.example.org
check: export PIM_DATABASE_URL := sqlite://:memory:
check: $(V)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check --deploy --fail-level WARNING

format: $(V)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# No address of a package registry is written into the lock files.
LOCK = uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -q
lock:
	@command -v uv >/dev/null || { echo 'Locking needs uv: https://docs.astral.sh/uv/'; exit 1; }
	$(LOCK) -o requirements.txt
	$(LOCK) --group dev -o requirements-dev.txt

clean:
	rm -rf $(V) .demo .mypy_cache .ruff_cache .pytest_cache .import_linter_cache staticfiles
