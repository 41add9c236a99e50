# Every target sets up what it needs, from a fresh clone with python3 (3.11 to 3.13) and make.

PYTHON ?= python3
PORT ?= 3000
# Where nobody chose a port, that of the links in the demo's runs, or of TAXI_PAGES_URL, counts.
PAGES := $(if $(PAGES_PORT),--pages-port $(PAGES_PORT))
MAIL_PORT ?= 8025
# With TRIPS_PER_DAY=1000 the demo is a small one, in a quarter of the time.
SIZE := $(if $(TRIPS_PER_DAY),--trips-per-day $(TRIPS_PER_DAY))

BIN := .venv/bin
# uv from the PATH, else one that make puts into .venv.
UV_ON_PATH := $(shell command -v uv || :)
UV := $(or $(UV_ON_PATH),$(BIN)/uv)
UV_READY := $(if $(filter-out $(BIN)/uv %/$(BIN)/uv,$(UV_ON_PATH)),.venv/pyvenv.cfg,$(BIN)/uv)
INSTALL := $(UV) pip install --quiet --require-hashes

# What a target needs: a file of requirements/, installed into .venv. None takes away what another has installed.
DEMO_READY := .venv/.ready-demo
TOUR_READY := .venv/.ready-notebook
TEST_READY := .venv/.ready-test
DOCS_READY := .venv/.ready-docs
DEV_READY := .venv/.ready-dev
SERVICES_READY := .venv-services/.ready
CLUSTER_READY := .venv-cluster/.ready
RELEASE_READY := .venv-release/.ready
# Files that hold all of others.
HOLDS_test := demo notebook server
HOLDS_dev := docs test $(HOLDS_test)

# The packages for an object store, Postgres and Spark, where a variable asks for them; for make dev in .env, too.
SERVER_READY := $(if $(TAXI_STORAGE_URL)$(DAGSTER_POSTGRES_URL)$(filter spark,$(TAXI_ENGINE)),.venv/.ready-server)
SERVER_IN_ENV := $(shell grep -sE '^ *(export +)?((TAXI_STORAGE_URL|DAGSTER_POSTGRES_URL)=.|TAXI_ENGINE=.?spark)' .env)

# Where it is set, each of the many processes of the tests would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

# With MEASURE=1 each of the three runs of tests measures what it covers, which takes a third more time; make coverage
# puts them together.
MEASURED := $(if $(MEASURE),--cov --cov-report= --cov-fail-under=0)

# The demo is a project of its own, with all settings in its .env. With Postgres (see docs/server.md) its instance is that
# of a server.
DEMO := data/demo
SERVER_INSTANCE := $(if $(filter spark,$(TAXI_ENGINE)),deploy/cluster/dagster.yaml,deploy/dagster.yaml)
DEMO_INSTANCE := $(if $(DAGSTER_POSTGRES_URL),--instance $(SERVER_INSTANCE))
# In the demo's folder Dagster reads its .env, which counts more than variables of the shell.
IN_THE_DEMO = test -f $(DEMO)/dagster.yaml || { echo "There is no demo in $(DEMO): make demo" >&2; exit 1; }; \
	cd $(DEMO) && export DAGSTER_HOME="$$PWD"

.PHONY: help demo demo-ui demo-mail tour dev test test-fast test-wheel release-files services services-stop test-services test-cluster coverage bench lint format docs docs-site baselines screenshots zone-shapes zone-places requirements clean

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

demo: $(DEMO_READY) $(SERVER_READY) ## Two months of synthetic trips through the whole graph
	@$(BIN)/taxi-pipeline demo $(DEMO) $(SIZE) $(PAGES) $(DEMO_INSTANCE)
	@echo "The same, shorter:                 make demo-ui"

demo-ui: $(DEMO_READY) $(SERVER_READY) ## The Dagster UI on the demo's runs
	@$(BIN)/taxi-pipeline dev $(DEMO) --port $(PORT) $(PAGES)

# The server keeps what it is sent as files; mail programs open them. Where SIGTERM is ignored, as below some servers and
# test runners, only -9 ends it, and what it holds open would keep others waiting.
demo-mail: $(TEST_READY) ## Send the demo's report of January 2025 to a mail server here: data/demo/mail
	@$(IN_THE_DEMO) && rm -rf mail staging/deliveries && mkdir -p staging && \
		set -a && . ./.env && TAXI_MAIL_TO=reader@example.com && TAXI_MAIL_FROM=taxi@example.com && \
		TAXI_SMTP_HOST=127.0.0.1 && TAXI_SMTP_PORT=$(MAIL_PORT) && TAXI_SMTP_TLS=none && set +a && \
		trap 'kill -9 $$server' EXIT && \
		{ "$(CURDIR)/$(BIN)/python" -m aiosmtpd --nosetuid --listen 127.0.0.1:$(MAIL_PORT) \
			--class aiosmtpd.handlers.Mailbox mail >mail.log 2>&1 & server=$$!; } && cd staging && \
		log=$$("$(CURDIR)/$(BIN)/dagster" asset materialize --select monthly_report_mail --partition 2025-01-01 \
			--config-json '{"ops": {"monthly_report_mail": {"config": {"old_months": true}}}}' \
			-m taxi_pipeline.definitions 2>&1) || { echo "$$log"; exit 1; }
	@echo "The mail: $$(ls -d $(DEMO)/mail/new/*)"

tour: $(TOUR_READY) ## Run the notebook tour.ipynb on the demo, as an asset: data/demo/outputs/tour.html
	@$(IN_THE_DEMO) && log=$$("$(CURDIR)/$(BIN)/dagster" asset materialize --select tour \
		-m taxi_pipeline.definitions 2>&1) || { echo "$$log"; exit 1; }
	@. "$(abspath $(DEMO))/.env" && echo "$${TAXI_STORAGE_URL:-$(DEMO)}/outputs/tour.html"

dev: $(DEMO_READY) $(if $(SERVER_READY)$(SERVER_IN_ENV),.venv/.ready-server) ## The Dagster UI for real data; settings from .env
	@$(BIN)/taxi-pipeline dev . --port $(PORT) $(PAGES)

test: $(TEST_READY) ## All tests that need no server, three at a time: one mostly waits for the daemon
	@COVERAGE_FILE=.coverage.test $(BIN)/python -m pytest --numprocesses 3 $(MEASURED)

test-fast: $(TEST_READY) ## The tests that need neither Dagster nor a browser, in less than a minute; ends at the first failure
	@$(BIN)/python -m pytest -m fast --exitfirst --quiet --numprocesses 3

# The folder of the tests holds what git knows, and what is new, but not the package: only the installed one is found.
test-wheel: | $(UV_READY) ## The fast tests on the built wheel, in an environment of its own; PYTHON=python3.13 tries that one
	@rm -rf build/wheel && mkdir -p build/wheel/tests
	@echo "Installing the wheel into .venv-wheel ..." >&2
	@$(UV) venv --quiet --clear --python "$$($(PYTHON) -c 'import sys; print(sys.executable)')" .venv-wheel
	@$(INSTALL) --python .venv-wheel/bin/python --requirement requirements/test.txt
	@$(UV) build --quiet --python .venv-wheel/bin/python --no-build-isolation --out-dir build/wheel
	@$(UV) pip install --quiet --python .venv-wheel/bin/python --no-deps build/wheel/*.whl
	@git ls-files -z --cached --others --exclude-standard -- ':!taxi_pipeline/' | tar -c --null -T - | tar -x -C build/wheel/tests
	@cd build/wheel/tests && "$(CURDIR)/.venv-wheel/bin/python" -m pytest -m fast --quiet --numprocesses 3

# setuptools writes the time of the build into the source archive: it is packed again, with the time of the commit.
release-files: $(TEST_READY) $(RELEASE_READY) ## What a release has, in dist/release: the packages, built twice and compared, and their bill of materials
	@rm -rf dist/release && mkdir -p dist/release/packages dist/release/again
	@export SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) && for folder in packages again; do \
		$(UV) build --quiet --python $(BIN)/python --no-build-isolation --out-dir dist/release/$$folder && \
		rm -rf dist/release/unpacked dist/release/$$folder/.gitignore && mkdir dist/release/unpacked && \
		tar -x -z -f dist/release/$$folder/*.tar.gz -C dist/release/unpacked && \
		tar -c --sort=name --mtime=@$$SOURCE_DATE_EPOCH --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
			-C dist/release/unpacked $$(ls dist/release/unpacked) | gzip -n -9 > dist/release/packed && \
		mv dist/release/packed dist/release/$$folder/*.tar.gz || exit; done
	@diff -r dist/release/packages dist/release/again
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) .venv-release/bin/python -W ignore -m cyclonedx_py requirements --pyproject pyproject.toml \
		--mc-type application --output-reproducible --short-PURLs --output-file dist/release/sbom.cdx.json requirements/demo.txt
	@rm -rf dist/release/again dist/release/unpacked
	@ls dist/release/packages dist/release/sbom.cdx.json

services: $(SERVICES_READY) $(if $(CLUSTER),$(CLUSTER_READY)) ## PostgreSQL and an S3 server on loopback, and the variables to use them; CLUSTER=1 for Spark, too; DETACH=1 for the background
	@$(BIN)/python -m taxi_pipeline_tests.services $(if $(CLUSTER),--cluster) $(if $(DETACH),--detach)

services-stop: | $(UV_READY) ## Stop the services in the background; what they store stays in data/services
	@$(BIN)/python -m taxi_pipeline_tests.services --stop

test-services: $(TEST_READY) $(SERVICES_READY) ## The tests that need PostgreSQL and an S3 server, which it starts
	@COVERAGE_FILE=.coverage.services $(BIN)/python -m taxi_pipeline_tests.services -- \
		$(BIN)/python -m pytest -m services --numprocesses 3 $(MEASURED)

test-cluster: $(TEST_READY) $(SERVICES_READY) $(CLUSTER_READY) ## The tests that need a Spark cluster, which it starts on loopback with PostgreSQL and an S3 server; QUICK=1 kills nothing, TESTS=FILES takes some
	@COVERAGE_FILE=.coverage.cluster $(BIN)/python -m taxi_pipeline_tests.services --cluster -- \
		$(BIN)/python -m pytest -m "cluster$(if $(QUICK), and not slow)" --numprocesses 3 $(MEASURED) $(TESTS)

coverage: $(TEST_READY) ## What the last runs of test, test-services and test-cluster with MEASURE=1 covered together; fails below the floor
	@$(BIN)/coverage combine --quiet --keep && $(BIN)/coverage report

bench: $(TEST_READY) $(SERVICES_READY) $(if $(findstring cluster,$(or $(BENCH),cluster)),$(CLUSTER_READY)) ## Measure speed and memory; BENCH="month import" takes some cases, options as in python -m benchmarks --help
	@$(BIN)/python -W ignore -m benchmarks $(BENCH)

lint: $(DEV_READY) ## Formatting, lint, types, and what makes workflows unsafe
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright --warnings
	@$(BIN)/zizmor --offline --no-progress --quiet .github

format: $(DEV_READY) ## Format, and fix what the linter can
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(DEMO_READY) ## Write the reference out of what it describes: data dictionary, command line, settings
	@$(BIN)/python -m docs.generate

docs-site: $(DOCS_READY) ## Build the documentation as a web site, with its links checked: build/site/index.html
	@output=$$(NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --clean 2>&1) || { echo "$$output"; exit 1; }
	@echo "build/site/index.html"

baselines: $(TEST_READY) ## Renew the pictures that drawings are compared with; look at them before you commit them
	@$(BIN)/python -m pytest -q taxi_pipeline_tests/test_baselines.py --renew-baselines

screenshots: $(TEST_READY) ## Renew the pictures of the documentation; needs make demo and a Chromium
	@$(BIN)/python -W ignore -m docs.screenshots

zone-shapes: $(TEST_READY) ## Make the schematic zones of the samples anew, out of New York's census tracts
	@$(BIN)/python -m docs.zone_shapes

zone-places: $(TEST_READY) ## Find anew in which places of the city the zones lie; ZONES=FILE is the TLC's taxi_zones.zip
	@test -f "$(ZONES)" || { echo "Name the TLC's zones: make zone-places ZONES=.../taxi_zones.zip"; exit 1; }
	@$(BIN)/python -m docs.zone_places "$(ZONES)"

clean: ## Remove the environment, the demo and caches; your own data and runs stay
	rm -rf .venv .venv-wheel .venv-release .venv-services .venv-cluster $(DEMO) data/.dbt taxi_pipeline/marts/target .hypothesis .pytest_cache .ruff_cache .coverage .coverage.* build dist *.egg-info
	find taxi_pipeline taxi_pipeline_tests -name __pycache__ -type d -exec rm -rf {} +

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(not (3, 11) <= v <= (3, 13) and \
		f"{sys.executable} is Python {v[0]}.{v[1]}; 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.13 ...")'
	@$(if $(filter $@,$(UV_READY)),$(UV) venv --quiet --allow-existing --python \
		"$$($(PYTHON) -c 'import sys; print(sys.executable)')",$(PYTHON) -m venv) .venv

$(BIN)/uv: | .venv/pyvenv.cfg
	@echo "Installing uv into .venv (once) ..." >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/uv.txt

# The project itself comes last, built with the setuptools that is installed with dg.
.venv/.ready-%: requirements/%.txt pyproject.toml | $(UV_READY)
	@echo "Installing $< into .venv ..." >&2
	@$(INSTALL) --python $(BIN)/python --requirement $<
	@$(if $(filter demo test dev,$*),$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .)
	@touch $@ $(HOLDS_$*:%=.venv/.ready-%)

.venv-%/.ready: requirements/%.txt | $(UV_READY)
	@echo "Setting up .venv-$* (once) ..." >&2
	@$(UV) venv --quiet --clear --python $(BIN)/python .venv-$*
	@$(INSTALL) --python .venv-$*/bin/python --requirement $<
	@$(FINISH_$*)
	@touch $@

$(CLUSTER_READY): taxi_pipeline_tests/services/spark.py
FINISH_cluster = .venv-cluster/bin/python -m taxi_pipeline_tests.services.spark 2> .venv-cluster/jars.log || \
	{ tail -5 .venv-cluster/jars.log >&2; exit 1; }

# dev.txt decides on the versions, the others follow. Some packages of the notebook and of the documentation need
# Python 3.11.5; the demo and a server run on any 3.11. pip finds a package with extras only where the file names them.
COMPILE := pip compile --quiet --universal --generate-hashes --no-strip-extras --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make requirements" $(if $(UPGRADE),--upgrade) --python-version
PINNED := --no-annotate --constraint requirements/dev.txt
requirements: | $(UV_READY) ## Write requirements/ out of pyproject.toml; what is pinned stays, UPGRADE=1 takes what is new
	@$(UV) $(COMPILE) 3.11.5 --annotation-style line --extra dev --group docs -o requirements/dev.txt pyproject.toml
	@$(UV) $(COMPILE) 3.11 $(PINNED) --extra analysis --extra dbt --extra delivery --extra mcp --extra sign --extra ui -o requirements/demo.txt pyproject.toml
	@$(UV) $(COMPILE) 3.11 $(PINNED) --extra delivery --extra s3 --extra postgres --extra sign --extra spark -o requirements/server.txt pyproject.toml
	@$(UV) $(COMPILE) 3.11.5 $(PINNED) --extra notebook -o requirements/notebook.txt pyproject.toml
	@$(UV) $(COMPILE) 3.11.5 $(PINNED) --extra test -o requirements/test.txt pyproject.toml
	@$(UV) $(COMPILE) 3.11.5 $(PINNED) --group docs -o requirements/docs.txt
	@for group in services cluster uv release; do \
		$(UV) $(COMPILE) 3.11 --annotation-style line --group $$group -o requirements/$$group.txt || exit; done
