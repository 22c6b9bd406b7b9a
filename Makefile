# Every job of the project, one target each; `make help` lists them.
# Python tools live in .venv, made from requirements/dev.lock; everything else is downloaded or built into one
# cache folder (CELERY_OPERATOR_CACHE, ~/.cache/celery-operator by default) by tests/cluster.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.from-lock
# What builds the site is kept apart: it is no tool of the code.
DOCS_VENV := $(VENV)/docs
DOCS_READY := $(DOCS_VENV)/.from-lock
RUN := PYTHONPATH=operator:. $(BIN)/python
PYTEST := $(BIN)/pytest
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
OPERATOR_IMAGE := celery-operator/operator:$(VERSION)
WORKER_IMAGE := celery-operator/worker:$(VERSION)
# What the operator's image is made of.
OPERATOR_SOURCE := Dockerfile requirements/operator.lock operator/celery_operator
NAMESPACE ?= celery-operator
CRD := crds/celery-operator.dev_celeryclusters.yaml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# The order of the jobs counts, and all tests share one cluster: a -j of somebody's MAKEFLAGS must not mix them.
.NOTPARALLEL:
.PHONY: help check format lint types imports generated chart-lint runtime-lint generate lock \
	test test-unit test-integration test-e2e verify \
	demo cluster-up cluster-down kubeconfig images load deploy undeploy bench bench-autoscaling docs clean

##@ Look at it
demo: $(READY) ## Make a real cluster, install the operator, run real tasks and show all of it
	@$(RUN) -m tests.demo

##@ Check it
check: format lint types imports runtime-lint generated chart-lint docs ## Format, lint, types, import layers, generated files, chart, site

format: $(READY)
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ." >&2; exit 1; }

lint: $(READY)
	@$(BIN)/ruff check --quiet .

types: $(READY)
	@$(BIN)/mypy --no-error-summary operator tests charts docs benchmarks
	@$(BIN)/mypy --no-error-summary --config-file worker_image/mypy.ini --python-executable \
		"$$($(RUN) -m tests.integration.venvs worker_image/requirements.lock)/bin/python" worker_image/celery_tasks worker_image/django_shop

imports: $(READY)
	@PYTHONPATH=operator $(BIN)/lint-imports --no-cache >$(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }

runtime-lint: $(READY)
	@$(BIN)/ruff check --quiet --target-version py38 operator/celery_operator/runtime
	@$(BIN)/ruff check --quiet --target-version py314 operator/celery_operator/runtime

generated: $(READY)
	@$(RUN) -m celery_operator.api.schema --check $(CRD)
	@$(RUN) -m docs.generate --check
	@$(RUN) -m charts.generate --check

chart-lint: $(READY)
	@"$$($(RUN) -m tests.cluster tool helm)" lint --strict --quiet charts/celery-operator

docs: $(DOCS_READY) ## Build the documentation as a site into build/site; every warning is an error
	@log=$$(NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build 2>&1) || { echo "$$log" >&2; exit 1; }

generate: $(READY) ## Write every generated file anew
	@$(RUN) -m celery_operator.api.schema --write $(CRD)
	@$(RUN) -m docs.generate --write
	@$(RUN) -m charts.generate --write
	@$(RUN) -m tests.unit.desired.golden_files

lock: $(READY) ## Write the lock files anew from pyproject.toml and worker_image/requirements.in
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		pyproject.toml -o requirements/operator.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		pyproject.toml --group dev -c requirements/operator.lock -o requirements/dev.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--group docs -o requirements/docs.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		worker_image/requirements.in -o worker_image/requirements.lock

##@ Test it
# Node drains need a second node, and kind cannot add one later.
test test-e2e verify: NODES := 2
test: test-unit cluster-up test-integration test-e2e ## All tests (a real cluster is made where none is up)

test-unit: $(READY) ## Two minutes: what needs no server
	$(PYTEST) -q -m "not verify" -n 2 tests/unit tests/cluster/tests tests/demo/tests tests/verify/tests

test-integration: $(READY) ## Minutes: real API server, Redis, RabbitMQ and Celery processes
	$(PYTEST) -q -m "not verify" -n 3 --dist loadfile tests/integration

test-e2e: $(READY) images ## Minutes: the operator installed by Helm, real pods, real tasks
	$(PYTEST) -q -m "not verify" tests/e2e

verify: $(READY) cluster-up ## Hours: full matrices and long runs, resumable by part (PART=runtime; results are kept)
	@$(RUN) -m tests.verify $(addprefix --part ,$(PART))

bench: $(READY) images ## Measure the figures in docs/benchmarks.md again
	@$(RUN) -m benchmarks

bench-autoscaling: $(READY) images ## Measure the autoscaling figures in docs/benchmarks.md again
	@$(RUN) -m benchmarks.autoscaling

##@ Run it
cluster-up: $(READY) ## Make a cluster, or check that it is up (CLUSTER=auto|current|kind|local, NODES=1)
	@$(RUN) -m tests.cluster up --nodes $(or $(NODES),1)

cluster-down: $(READY) ## Remove the cluster; the cache stays
	@$(RUN) -m tests.cluster down

kubeconfig: $(READY) ## Print the path of the cluster's kubeconfig, and nothing else
	@$(RUN) -m tests.cluster kubeconfig

images: $(READY) cluster-up ## Build the operator's and the task image and load them into the cluster
	@$(RUN) -m tests.cluster build . --tag $(OPERATOR_IMAGE) >/dev/null
	@$(RUN) -m tests.cluster build worker_image --tag $(WORKER_IMAGE) >/dev/null
	@$(RUN) -m tests.cluster load $(OPERATOR_IMAGE)
	@$(RUN) -m tests.cluster load $(WORKER_IMAGE)

load: $(READY) ## Load IMAGE=oci-archive-or-name into the cluster
	@test -n "$(IMAGE)" || { echo "say which: make load IMAGE=path-of-an-oci-archive-or-image-name" >&2; exit 2; }
	@$(RUN) -m tests.cluster load "$(IMAGE)"

# --reset-values: with no value of its own Helm would keep the former release's, the one namespace of the demo above all.
# The annotation makes new pods of changed code, although its image has the same tag.
deploy: $(READY) images ## Install the operator by Helm into the cluster (NAMESPACE=celery-operator)
	@"$$($(RUN) -m tests.cluster tool helm)" upgrade --install celery-operator charts/celery-operator --reset-values \
		--set-string "podAnnotations.source=$$(find $(OPERATOR_SOURCE) -type f ! -name '*.pyc' ! -path '*/.*' | LC_ALL=C sort | xargs cat | sha256sum | cut -c1-16)" \
		--kubeconfig "$$($(RUN) -m tests.cluster kubeconfig)" --namespace $(NAMESPACE) --create-namespace --take-ownership --wait --timeout 3m

undeploy: $(READY) ## Remove the operator again; CeleryClusters and their children stay
	@"$$($(RUN) -m tests.cluster tool helm)" uninstall celery-operator \
		--kubeconfig "$$($(RUN) -m tests.cluster kubeconfig)" --namespace $(NAMESPACE) --wait

##@ Help
help: ## Show this
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z][a-z0-9-]*:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

clean: ## Remove what was built in this folder; the cache and the cluster stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist

$(READY): requirements/dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Python 3.11 or newer is needed as '$(PYTHON)'; install it, or say which: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "[make] $(VENV): installing the tools of requirements/dev.lock ..." >&2
	@$(PYTHON) -m venv $(VENV) >&2
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock >&2
	@touch $(READY)

$(DOCS_READY): requirements/docs.lock | $(READY)
	@echo "[make] $(DOCS_VENV): installing what builds the site, requirements/docs.lock ..." >&2
	@$(PYTHON) -m venv $(DOCS_VENV) >&2
	@$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/docs.lock >&2
	@touch $(DOCS_READY)
