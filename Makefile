# The front door. Each verb below is a row of `make help`; what a verb does is its recipe, and nothing else.
# A fresh Debian 12 or 13 needs `apt-get install make git` first, and root for whatever touches the lab.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# .ci/timed NAME COMMAND... says how long each step took, and notes it for the table that ends `make test`.
TIMED := .ci/timed
PHASES := .cache/phases

help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

##### Tools #####

# The stamp is named after what it was made from, and made last: a killed setup, another lock file or another
# Python starts over by itself, and an unchanged one costs nothing.
INPUTS := $(shell { python3 -V; cat requirements/dev.txt pyproject.toml; } 2>&1 | sha256sum | cut -c1-16)
READY := .venv/ready-$(INPUTS)

# Only now, since the stamp asks the machine's own Python.
export LC_ALL := C.UTF-8
export PATH := $(CURDIR)/.venv/bin:$(PATH)

setup: $(READY) ## Make .venv with every tool at its locked version
	@:

$(READY):
	@$(TIMED) setup $(MAKE) .venv/unfinished
	@rm -f .venv/ready-*
	@mv .venv/unfinished $@

.PHONY: .venv/unfinished
.venv/unfinished:
	@.ci/python
	@touch $@
	@python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .

lock: .cache/uv/bin/uv ## Write requirements/dev.txt anew from dev.in (UPGRADE=1 takes newer versions)
	.cache/uv/bin/uv pip compile --universal -p 3.11 --generate-hashes --no-header -q $(if $(UPGRADE),--upgrade) \
	    -o requirements/dev.txt requirements/dev.in

.cache/uv/bin/uv: | $(READY)
	python -m venv --clear .cache/uv
	.cache/uv/bin/pip install -q --disable-pip-version-check uv

##### Judgement without machines #####

CHECKS := lint-ansible types-mypy unit lint-python lint-yaml lint-shell lint-markdown types-layers docs-drift

check: $(READY) ## Everything without machines: lint, types, unit, docs; two minutes at most
	@$(TIMED) check $(MAKE) -k -j2 --output-sync=target $(CHECKS)

lint: lint-python lint-yaml lint-ansible lint-shell lint-markdown ## ruff, yamllint, ansible-lint, shellcheck, pymarkdown

types: types-mypy types-layers ## mypy --strict, and the layers of the package

lint-python: $(READY)
	@$(TIMED) $@ ruff check --quiet --output-format concise .
	@$(TIMED) $@-format ruff format --check --quiet .

lint-yaml: $(READY)
	@$(TIMED) $@ yamllint --strict .

lint-ansible: $(READY)
	@$(TIMED) $@ ansible-lint --offline -q

lint-shell: $(READY)
	@$(TIMED) $@ shellcheck $(shell git grep --untracked -lE '^#!.*\b(ba)?sh\b' -- ':!*.j2' ':!*.md')

lint-markdown: $(READY)
	@$(TIMED) $@ pymarkdown scan $(shell git ls-files -co --exclude-standard '*.md')

types-mypy: $(READY)
	@$(TIMED) $@ mypy agent/src tests docs plugins $(wildcard roles/*/files/*.py)

types-layers: $(READY)
	@$(TIMED) $@ lint-imports --no-cache

unit: $(READY) ## Unit tests and the house's own rules
	@$(TIMED) $@ pytest -q -n 2 --dist worksteal -m 'not ci and not long' tests

docs: $(READY) ## Write the reference pages anew
	@$(TIMED) $@ python docs/generate.py

docs-drift: $(READY)
	@$(TIMED) $@ python docs/generate.py --check

fmt: $(READY) ## Let the formatters have their way
	ruff check --fix --exit-zero .
	ruff format .

##### The lab, and judgement on it #####

lab: $(READY) ## Six machines in three sites, a store on them, a tenant, an object; a rerun changes nothing
	@$(TIMED) lab-machines ansible-playbook playbooks/lab.yml
	@$(TIMED) lab-site ansible-playbook playbooks/site.yml
	@$(TIMED) lab-ceremony ansible-playbook playbooks/key_ceremony.yml
	@$(TIMED) lab-tenants ansible-playbook playbooks/tenants.yml
	@$(TIMED) lab-verify ansible-playbook playbooks/verify.yml
	@legalcloud health
	@cat docs/next.txt

lab-down: $(READY) ## Remove every trace of the lab (KEEP_IMAGES=1 keeps the images and the package cache)
	@$(TIMED) $@ ansible-playbook playbooks/lab_down.yml -e lab_keep_images=$(if $(KEEP_IMAGES),true,false)

e2e: $(READY) ## End-to-end tests marked `ci`, on the lab that stands
	@$(TIMED) $@ pytest -q -m ci tests/e2e

SCENARIOS := $(notdir $(patsubst %/molecule.yml,%,$(wildcard tests/molecule/*/molecule.yml)))

molecule: $(READY) ## Roles on machines of their own beside the lab that stands, twice, after a power cut too
	@for scenario in $(SCENARIOS); do MOLECULE_GLOB='tests/molecule/*/molecule.yml' \
	    $(TIMED) $@-$$scenario molecule --base-config tests/molecule/config.yml test --scenario-name $$scenario; done

second-run: $(READY) ## Run site.yml and tenants.yml again: nothing may change
	@$(TIMED) second-run-site .ci/second-run playbooks/site.yml
	@$(TIMED) second-run-tenants .ci/second-run playbooks/tenants.yml

test: ## What CI runs, on a lab made anew: check, lab, second-run, e2e, molecule; 45 minutes at most
	@mkdir -p $(dir $(PHASES)) && rm -f $(PHASES)
	@for phase in check 'lab-down KEEP_IMAGES=1' lab second-run e2e molecule; do $(MAKE) $$phase || { code=$$?; break; }; done; \
	    echo; echo 'Where the time went:'; cat $(PHASES); exit $${code:-0}

test-long: $(READY) ## Every long fault and drill on the lab that stands; benchmarks are `make bench`
	@$(TIMED) $@ pytest -m long tests/e2e tests/kms tests/agent

test-vm: $(READY) ## Production's encrypted drives on an emulated machine, beside the lab that stands; half an hour
	@$(TIMED) $@ pytest -q -x -s -m long tests/vm

bench: $(READY) ## Measure the lab and write docs/benchmarks.md
	@$(TIMED) $@ python -m tests.bench

.PHONY: help setup lock check lint types unit docs fmt lab lab-down e2e molecule second-run test test-long test-vm bench \
    $(filter-out unit,$(CHECKS))
