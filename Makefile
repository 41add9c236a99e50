# Every target sets up what it needs, from a fresh clone with python3 (3.11 to 3.13) and make.

PYTHON ?= python3
PORT ?= 3000

PAGES_PORT ?= 3001

BIN := .venv/bin
READY := .venv/.ready
SERVICES_READY := .venv-services/.ready
CLUSTER_READY := .venv-cluster/.ready

# Each of the three runs of tests measures what it covers; make coverage puts them together.
MEASURED := --cov --cov-report= --cov-fail-under=0

# The demo has a data folder and a Dagster instance of its own. Empty variables count as unset; they are listed so that
# nothing from a .env or from the shell leaks in.
DEMO := data/demo
DEMO_TRIPS := $(DEMO)/mirror/trip-data/yellow_tripdata_2023-03.parquet
# With an object store and Postgres (see docs/server.md) the demo has a prefix of its own in the store.
DEMO_STORAGE := $(if $(TAXI_STORAGE_URL),$(TAXI_STORAGE_URL)/demo)
SERVER_INSTANCE := $(if $(filter spark,$(TAXI_ENGINE)),deploy/cluster/dagster.yaml,deploy/dagster.yaml)
DEMO_INSTANCE := $(if $(DAGSTER_POSTGRES_URL),$(SERVER_INSTANCE),dagster.yaml)
DEMO_FILES := $(if $(DEMO_STORAGE),$(DEMO_STORAGE),$(DEMO))
DEMO_ENV := DAGSTER_HOME="$(CURDIR)/$(DEMO)/dagster" TAXI_DATA_DIR="$(CURDIR)/$(DEMO)" DUCKDB_DATABASE= \
	TLC_URL="file://$(CURDIR)/$(DEMO)/mirror" TAXI_ZONES_URL= TAXI_FLEETS=yellow,green TAXI_START_DATE=2023-02-01 \
	TAXI_END_DATE=2023-03-31 TAXI_CATALOG_NAMESPACE=demo \
	TAXI_AUTOMATION= TAXI_MARTS= TAXI_NOTEBOOKS= TAXI_DATASETS_FORMAT= TAXI_ALERT_WEBHOOK_URL= TAXI_PAGES_URL=http://127.0.0.1:$(PAGES_PORT) \
	TAXI_STORAGE_URL="$(DEMO_STORAGE)"

.PHONY: help demo demo-ui tour dev test services services-stop test-services test-cluster coverage bench lint format docs docs-site baselines screenshots zone-shapes clean
.PHONY: $(DEMO)/dagster/dagster.yaml

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

demo: $(DEMO_TRIPS) $(DEMO)/dagster/dagster.yaml ## Two months of synthetic trips through the whole graph
	@echo "Materializing February and March 2023 through Dagster ..."
	@$(DEMO_ENV) $(BIN)/taxi-pipeline materialize --start 2023-02-01 --end 2023-03-31 --reports
	@echo
	@$(if $(DEMO_STORAGE),:,echo "The weeks ($(DEMO)/outputs/trips_by_week.csv):"; cat $(DEMO)/outputs/trips_by_week.csv; echo)
	@echo "Look at the map:                   $(DEMO_FILES)/outputs/manhattan_map.png, $(DEMO_FILES)/outputs/city_map.png"
	@echo "Read about the month:              $(DEMO_FILES)/outputs/reports/2023-03.html"
	@echo "Explore the zones:                 $(DEMO_FILES)/outputs/zone_explorer.html"
	@echo "Open the UI on exactly these runs: make demo-ui"

demo-ui: $(DEMO)/dagster/dagster.yaml ## The Dagster UI on the demo's runs
	@# In the demo's folder, because Dagster reads the .env of the folder in which it starts.
	@cd $(DEMO) && export $(DEMO_ENV) && trap 'kill $$pages' EXIT && \
		{ "$(CURDIR)/$(BIN)/taxi-pipeline" pages --port $(PAGES_PORT) & pages=$$!; } && \
		"$(CURDIR)/$(BIN)/dg" dev --workspace "$(CURDIR)/workspace.yaml" --port $(PORT)

tour: $(DEMO)/dagster/dagster.yaml ## Run the notebook docs/tour.ipynb on the demo, as an asset: data/demo/outputs/tour.html
	@cd $(DEMO) && export $(DEMO_ENV) && log=$$("$(CURDIR)/$(BIN)/dagster" asset materialize --select tour \
		-m taxi_pipeline.definitions 2>&1) || { echo "$$log"; exit 1; }
	@echo "$(DEMO_FILES)/outputs/tour.html"

dev: $(READY) ## The Dagster UI for real data; settings from .env
	@export DAGSTER_HOME="$(CURDIR)" TAXI_PAGES_URL="$${TAXI_PAGES_URL:-http://127.0.0.1:$(PAGES_PORT)}" && \
		trap 'kill $$pages' EXIT && { $(BIN)/taxi-pipeline pages --port $(PAGES_PORT) & pages=$$!; } && \
		$(BIN)/dg dev --port $(PORT)

test: $(READY) ## All tests that need no server, three at a time: one mostly waits for the daemon
	@COVERAGE_FILE=.coverage.test $(BIN)/python -m pytest --numprocesses 3 $(MEASURED)

services: $(READY) $(SERVICES_READY) $(if $(CLUSTER),$(CLUSTER_READY)) ## PostgreSQL and an S3 server on loopback, and the variables to use them; CLUSTER=1 for Spark, too; DETACH=1 for the background
	@$(BIN)/python -m taxi_pipeline_tests.services $(if $(CLUSTER),--cluster) $(if $(DETACH),--detach)

services-stop: $(READY) ## Stop the services in the background; what they store stays in data/services
	@$(BIN)/python -m taxi_pipeline_tests.services --stop

test-services: $(READY) $(SERVICES_READY) ## The tests that need PostgreSQL and an S3 server, which it starts
	@COVERAGE_FILE=.coverage.services $(BIN)/python -m taxi_pipeline_tests.services -- \
		$(BIN)/python -m pytest -m services --numprocesses 3 $(MEASURED)

test-cluster: $(READY) $(SERVICES_READY) $(CLUSTER_READY) ## The tests that need a Spark cluster, which it starts on loopback with PostgreSQL and an S3 server; QUICK=1 kills nothing
	@COVERAGE_FILE=.coverage.cluster $(BIN)/python -m taxi_pipeline_tests.services --cluster -- \
		$(BIN)/python -m pytest -m "cluster$(if $(QUICK), and not slow)" --numprocesses 3 $(MEASURED)

coverage: $(READY) ## What the last runs of test, test-services and test-cluster covered together; fails below the floor
	@$(BIN)/coverage combine --quiet --keep && $(BIN)/coverage report

bench: $(READY) $(SERVICES_READY) $(if $(findstring cluster,$(or $(BENCH),cluster)),$(CLUSTER_READY)) ## Measure speed and memory; BENCH="month import" takes some cases, options as in python -m benchmarks --help
	@$(BIN)/python -W ignore -m benchmarks $(BENCH)

lint: $(READY) ## Formatting, lint and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright --warnings

format: $(READY) ## Format, and fix what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(READY) ## Write the reference out of what it describes: data dictionary, command line, settings
	@$(BIN)/python -m docs.generate

docs-site: $(READY) ## Build the documentation as a web site, with its links checked: build/site/index.html
	@output=$$(NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean 2>&1) || { echo "$$output"; exit 1; }
	@echo "build/site/index.html"

baselines: $(READY) ## Renew the pictures that drawings are compared with; look at them before you commit them
	@$(BIN)/python -m pytest -q taxi_pipeline_tests/test_baselines.py --renew-baselines

screenshots: $(READY) ## Renew the pictures of the documentation; needs make demo and a Chromium
	@$(BIN)/python -W ignore -m docs.screenshots

zone-shapes: $(READY) ## Make the schematic zones of the samples anew, out of New York's census tracts
	@$(BIN)/python -m docs.zone_shapes

clean: ## Remove the environment, the demo and caches; your own data and runs stay
	rm -rf .venv .venv-services .venv-cluster $(DEMO) marts/target .hypothesis .pytest_cache .ruff_cache .coverage .coverage.* build dist *.egg-info
	find taxi_pipeline taxi_pipeline_tests -name __pycache__ -type d -exec rm -rf {} +

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v <= (3, 13) and \
		f"{sys.executable} is Python {v[0]}.{v[1]}; 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.13 ...")'
	@echo "Setting up .venv (once; a minute or two) ..." >&2
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(SERVICES_READY): taxi_pipeline_tests/services/requirements.txt
	@echo "Setting up .venv-services (once; half a minute) ..." >&2
	@$(PYTHON) -m venv .venv-services
	@.venv-services/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

$(CLUSTER_READY): taxi_pipeline_tests/services/spark-requirements.txt taxi_pipeline_tests/services/spark.py
	@echo "Setting up .venv-cluster (once; a minute) ..." >&2
	@$(PYTHON) -m venv .venv-cluster
	@.venv-cluster/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@.venv-cluster/bin/python -m taxi_pipeline_tests.services.spark 2> .venv-cluster/jars.log || { tail -5 .venv-cluster/jars.log >&2; exit 1; }
	@touch $@

$(DEMO_TRIPS): | $(READY)
	@$(BIN)/taxi-pipeline sample --output $(DEMO)/mirror --start 2023-02-01 --end 2023-03-31 --fleet green --trips-per-day 2300
	@$(BIN)/taxi-pipeline sample --output $(DEMO)/mirror --start 2023-02-01 --end 2023-03-31 --trips-per-day 110000

$(DEMO)/dagster/dagster.yaml: | $(READY)
	@mkdir -p $(@D)
	@cmp -s $(DEMO_INSTANCE) $@ || cp $(DEMO_INSTANCE) $@
