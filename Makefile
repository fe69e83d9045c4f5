# hfproxy: every everyday command. `make` alone lists them.
#
# Needs Python 3.11+, git and make; everything else is set up by the target that needs it, from uv.lock.

PYTHON     ?= python3
UV_VERSION := 0.13.8
UV         := .tools/bin/uv
HFPROXY    := .venv/bin/hfproxy
RUN        := .venv/bin/

# uv reads the system's certificates, so that it works behind a firewall that re-signs TLS.
export UV_SYSTEM_CERTS := 1
export UV_PROJECT_ENVIRONMENT := .venv
# Where Python may not keep what it compiles (PYTHONDONTWRITEBYTECODE, usual in containers and CI), each start of a
# command would compile a thousand modules of libraries again: two thirds of its time.
export UV_COMPILE_BYTECODE := 1

# Containers: any engine, any base image with Python 3.11+, a certificate authority for building behind a firewall.
ENGINE     ?= docker
IMAGE      ?= hfproxy
BASE_IMAGE ?=
CA_BUNDLE  ?=
NETWORK    ?=
NAME       ?= hfproxy
VOLUME     ?= hfproxy-data
PORT       ?= 8080
ENV_FILE   ?= .env
CERTS      ?= certs
NAMES      ?=
ANONYMOUS  ?=
VERSION    := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help all install run test check lint format bench certs build rundocker mntcerts release clean

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  \033[1m%-12s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hfproxy needs Python 3.11 or newer, $(PYTHON) is %s" % sys.version.split()[0])'
	@echo "Setting up .tools and .venv; this happens once ..."
	@$(PYTHON) -m venv .tools
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.installed: $(UV) pyproject.toml uv.lock
	@$(UV) sync --frozen --quiet
	@touch $@

install: .venv/.installed ## Set up .venv with exactly what uv.lock names

run: install ## Start the gateway; on the built-in sandbox Hub unless there is a .env
	@if [ -f .env ]; then exec $(HFPROXY) serve; else exec $(HFPROXY) serve --upstream "$${HF_ENDPOINT:-sandbox}"; fi

test: install ## Run the tests
	@$(RUN)pytest -n 2 --dist worksteal

check: install ## What a change must pass before review: format, lint, types, lock, workflows, scripts
	@$(RUN)ruff format --check .
	@$(RUN)ruff check .
	@$(RUN)mypy
	@$(UV) lock --check --quiet
	@PATH="$(CURDIR)/.venv/bin:$$PATH" $(RUN)actionlint
	@$(RUN)zizmor --offline --quiet .github >/dev/null || $(RUN)zizmor --offline .github
	@$(RUN)shellcheck .ci/*
	@$(RUN)hadolint Dockerfile
	@$(RUN)check-jsonschema --quiet --builtin-schema vendor.compose-spec compose.yaml
	@$(RUN)check-jsonschema --quiet --builtin-schema vendor.dependabot .github/dependabot.yml

lint: install ## Lint and type-check
	@$(RUN)ruff check .
	@$(RUN)mypy

format: install ## Format the code and mend what ruff can mend
	@$(RUN)ruff format .
	@$(RUN)ruff check --fix .

BENCH ?=
bench: install ## Measure next to peers into docs/performance.md; BENCH="api --rounds 3" chooses
	@$(RUN)python -m tests.bench $(BENCH)

certs: install ## Make a certificate for HTTPS on this machine in certs/; NAMES="hub.example.com" adds names
	@$(HFPROXY) certs --folder $(CERTS) $(foreach name,$(NAMES),--name $(name))

build: ## Build the image; ENGINE=podman, BASE_IMAGE=…, NETWORK=host, CA_BUNDLE=ca.pem choose how
	@mkdir -p build && rm -f build/ca.pem && $(if $(CA_BUNDLE),cp $(CA_BUNDLE) build/ca.pem,:)
	$(ENGINE) build $(if $(findstring podman,$(ENGINE)),--format docker) $(if $(NETWORK),--network $(NETWORK)) \
	  $(if $(BASE_IMAGE),--build-arg BASE_IMAGE=$(BASE_IMAGE)) --build-arg UV_VERSION=$(UV_VERSION) \
	  --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null) -t $(IMAGE) .
	@rm -f build/ca.pem

# The user of this shell and group 0: may read their own certs/key.pem and .env, and write the volume. Podman without
# root maps users; keep-id keeps them as they are.
CONTAINER_USER = --user $$(id -u):0 $(if $(findstring podman,$(ENGINE)),$$([ "$$(id -u)" = 0 ] || echo --userns=keep-id))
# Only this machine can reach it, so that callers without a key are no more than those of `make run`.
PUBLISHED = $(if $(filter host,$(NETWORK)),--network host -e HFPROXY_SERVER__HOST=127.0.0.1 \
  -e HFPROXY_SERVER__PORT=$(PORT),-p 127.0.0.1:$(PORT):8080 -e HFPROXY_SERVER__PORT=8080)
# Without a .env it is the sandbox, open to this machine. With one, who may do what has to be said in it (or here).
SETTINGS = $(if $(wildcard $(ENV_FILE)),-v $(abspath $(ENV_FILE)):/hfproxy/.env:ro \
  $(if $(ANONYMOUS),-e HFPROXY_ACCESS__ANONYMOUS=$(ANONYMOUS)),\
  -e HF_ENDPOINT=sandbox -e HFPROXY_ACCESS__ANONYMOUS=$(or $(ANONYMOUS),admin))
RUN_IMAGE = $(ENGINE) run --rm --name $(NAME) --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
  $(CONTAINER_USER) $(PUBLISHED) $(SETTINGS) -v $(VOLUME):/hfproxy/data

rundocker: build ## Run the image on http://127.0.0.1:8080 with .env if there is one, else on the sandbox
	$(RUN_IMAGE) $(IMAGE)

mntcerts: build ## The same over HTTPS, with certs/ mounted (see `make certs`)
	@test -f $(CERTS)/cert.pem || { echo "there is no $(CERTS)/cert.pem: make certs"; exit 1; }
	$(RUN_IMAGE) -v $(abspath $(CERTS)):/hfproxy/certs:ro $(IMAGE)

release: install ## Make what a release consists of, in dist/
	@ENGINE="$(ENGINE)" IMAGE="$(IMAGE)" VERSION="$(VERSION)" UV="$(UV)" MAKE="$(MAKE)" .ci/release

all: check test build ## Everything before a release

clean: ## Remove what was made, but for data/, certs/ and .env
	rm -rf .venv .tools .cache build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
