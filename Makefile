# `make run` hosts the workbench, `make test` runs the tests; both set up what they need.
VENV := .venv
PYTHON ?= python3
BIN := $(VENV)/bin
PORT ?= 8000

export HF_HUB_OFFLINE ?= 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: run test conformance scale-test soak fuzz audit test-milvus benchmark-selection benchmark-serving \
	benchmark-gateway benchmark-index benchmark-faults check lint types clean

run: $(VENV)/.installed
	$(BIN)/scopedtools serve examples.workbench.server:app --port $(PORT)

test: $(VENV)/.installed
	$(BIN)/python -m pytest

# The official suite and its own node come from npm once, into the environment.
conformance: $(VENV)/.installed
	$(BIN)/python -m tests.conformance.run

# Replicas on Redis behind HAProxy, nginx and Envoy, killed and added; a few minutes.
scale-test: $(VENV)/.installed
	$(BIN)/python -m benchmarks.scale $(ARGS)

# A mixed load with faults, and what is left of it afterwards; half an hour, or ARGS="--minutes 5".
soak: $(VENV)/.installed
	$(BIN)/python -m benchmarks.soak $(ARGS)

# All decoders under atheris, and schemathesis over HTTP; ARGS="--runs 1000000 cursor" for more of one.
fuzz: $(VENV)/.installed
	$(BIN)/python -m tests.fuzz $(ARGS)
	SCHEMATHESIS_EXAMPLES=300 $(BIN)/python -m pytest tests/contract/test_contract_schemathesis.py

# What is known against the packages that are installed. Exit 2 where the advisory service cannot be reached.
audit: $(VENV)/.installed
	$(BIN)/python -m tests.security.audit $(ARGS)

# Vectors in a real Milvus server, in an environment and a network namespace of their own; two minutes.
test-milvus: $(VENV)/.installed
	$(BIN)/python -m tests.retrieval.milvus_run

# Every public set that is there, every system; about half an hour. Options: ARGS="--sample 50".
benchmark-selection: $(VENV)/.installed
	$(BIN)/python -m benchmarks.selection $(ARGS)

# Requests of all kinds beside a bare app, the official SDK and FastMCP; about half an hour, ARGS="--quick" two minutes.
benchmark-serving: $(VENV)/.installed
	$(BIN)/python -m benchmarks.serving $(ARGS)

# Calls, lists and updates through a gateway; about three minutes. Parts alone: ARGS="calls".
benchmark-gateway: $(VENV)/.installed
	$(BIN)/python -m benchmarks.serving.gateway --json benchmarks/serving/results/gateway.json $(ARGS)

# Indexes of vectors up to a million rows; an hour, or two minutes with ARGS="--quick".
benchmark-index: $(VENV)/.installed
	$(BIN)/python -m benchmarks.index $(ARGS)

# What is noticed while Redis is killed, frozen, or fails over; about a minute.
benchmark-faults: $(VENV)/.installed
	$(BIN)/python -m benchmarks.faults $(ARGS)

check: lint types

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

# Anew whenever what is to be installed changes.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[embeddings,auth,client,telemetry,audit,openapi,redis,postgres,pgvector,limits,bench,dev]'
	touch $@

clean:
	rm -rf $(VENV)
