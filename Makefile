# Two commands do everything on a fresh Debian or Ubuntu machine: `make demo` and `make test`.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.PHONY: help setup demo check test-tools lab-test test test-all bench docs lock clean

VENV := .venv
BIN := $(VENV)/bin
INV := $(BIN)/inv
PYTEST := $(BIN)/python -m pytest
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# a fresh machine may be at its own upgrades: wait for these
APT := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=600

help:  ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(VENV)/.ready  ## Make the virtual environment from the lock file

demo: setup  ## Take bare lab hosts to models, and one of them to three services of real vLLM
	@echo "== Two bare hosts: systemd, sshd and a stand-in for the GPU, in containers on this machine"
	$(INV) lab.down
	$(INV) lab.up --hosts 2 --serving
	@echo "== Ask the model hub once which files the models have"
	$(INV) models --inventory lab --lock
	@echo "== What would be done (nothing is)"
	$(INV) plan --inventory lab || [ $$? -eq 2 ]
	@echo "== Do it"
	$(INV) provision --inventory lab --yes
	@echo "== A second plan"
	$(INV) plan --inventory lab
	@echo "== Chat, embeddings and reranking on gpu01: real vLLM, on the CPU"
	$(INV) deploy --inventory lab --host gpu01 --yes
	@echo "== A second deploy"
	$(INV) deploy --inventory lab --host gpu01 --yes
	@echo "== The hosts are yours until 'inv lab.down': try 'inv facts --inventory lab'"

check: setup test-tools  ## Lint, types and pure tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	for role in roles/*/role.py; do $(BIN)/mypy "$$role"; done
	$(PYTEST) -q -m "not lab" -n auto --dist loadfile

test-tools:  # shells and tools that pure tests run scripts with
	@missing=; for tool in apt-ftparchive busybox dash gpg setpriv ssh-keygen; do \
	    command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -n "$$missing" ]; then \
	    echo "== Installing$$missing (apt-get)"; \
	    $(APT) update && $(APT) install -y --no-install-recommends \
	        apt-utils busybox dash gnupg openssh-client util-linux; \
	fi

lab-test: setup  ## Tests on real hosts of the lab
	$(PYTEST) -q -m "lab and not quiet" -n 2 --dist loadfile --no-loadscope-reorder --durations=5
	@echo "== What measures time, with nothing beside it"
	$(PYTEST) -q -m "lab and quiet" --durations=5

test: check lab-test  ## All that CI runs; of slow matrices a part, another one each day

test-all: PYTEST := PROVISION_SHARD=1/1 PROVISION_CASES=100000 $(PYTEST) --resume
test-all: check lab-test  ## Everything; after an abort it goes on with what has not passed yet

bench: setup  ## Measure beside Fabric, OpenSSH, pyinfra and Ansible, on sshd processes of this machine
	@missing=; for path in /usr/sbin/sshd /usr/bin/ssh /usr/bin/unshare /usr/lib/python3/dist-packages/apt; do \
	    [ -e $$path ] || missing="$$missing $$path"; done; \
	if [ -n "$$missing" ]; then \
	    echo "== Installing what has$$missing (apt-get)"; \
	    $(APT) update && $(APT) install -y --no-install-recommends \
	        openssh-server openssh-client util-linux python3-apt; \
	fi
	$(SUDO) $(BIN)/python tests/benchmarks/bench.py

docs: setup  ## Write the generated parts of the documentation
	$(BIN)/python -m provision.cli.reference

lock: setup  ## Resolve the dependencies anew
	$(BIN)/pip-compile --quiet --extra dev --allow-unsafe --strip-extras --generate-hashes \
	  --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --upgrade \
	  --output-file requirements.lock pyproject.toml
	for hub in modelscope huggingface; do \
	  (cd roles/models && ../../$(BIN)/pip-compile --quiet --strip-extras --generate-hashes \
	    --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --upgrade \
	    --output-file requirements-$$hub.txt requirements-$$hub.in); \
	done
	cd tests/lab/clients && ../../../$(BIN)/pip-compile --quiet --strip-extras --generate-hashes \
	  --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --upgrade \
	  --output-file requirements.txt requirements.in

clean:  ## Remove labs, their cache and the virtual environment
	-[ ! -x $(INV) ] || $(INV) lab.clean
	rm -rf $(VENV)

$(VENV)/.ready: requirements.lock pyproject.toml
	@python=$$(for p in python3.13 python3.12 python3.11 python3; do \
	    command -v $$p >/dev/null && $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	    2>/dev/null && echo $$p && break; done || true); \
	if [ -z "$$python" ]; then \
	    echo "== Installing python3 and python3-venv (apt-get)"; \
	    $(APT) update && $(APT) install -y --no-install-recommends \
	        python3 python3-venv; python=python3; \
	    if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	        $(APT) install -y --no-install-recommends \
	            python3.11 python3.11-venv; python=python3.11; \
	    fi; \
	fi; \
	$$python -c 'import sys; sys.exit("provision needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'; \
	echo "== Making $(VENV) with $$($$python --version)"; \
	$$python -m venv --clear $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
