# loghound: what people and CI run. `make run` and `make test` are the first screen of README.md.

CARGO ?= cargo
# Where cargo puts what it builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help run demo build test test-clients lint fmt bench eval-templates ci

help:
	@echo 'make run     build and start: Beats on 127.0.0.1:5044, HTTP on 127.0.0.1:8044, data in ./loghound-data'
	@echo 'make demo    the same on a temporary directory, with sample traffic'
	@echo 'make test    all tests, real clients included where their runtimes are installed'
	@echo 'make lint    formatting and lints, warnings as errors'
	@echo 'make fmt     format the code'
	@echo 'make bench   the stage benches'
	@echo 'make eval-templates   score the template miner on labelled lines, where they are'
	@echo 'make ci      what CI runs'

build:
	$(CARGO) build --release --locked --bin loghound

run: build
	$(TARGET)/release/loghound serve

demo: build
	$(TARGET)/release/loghound demo

# The Go, Python and Node clients that the tests start. A client whose runtime is absent is skipped, and says so.
test-clients:
	@tests/clients/setup.sh || echo 'make: a client could not be set up; the tests that need it say so' >&2

test: test-clients
	$(CARGO) test --locked --no-fail-fast

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings

fmt:
	$(CARGO) fmt

bench:
	$(CARGO) bench --locked

# Labelled lines are outside the repository: `$$LOGHOUND_SHARED`, else ../shared.
eval-templates: build
	python3 tests/loghub/eval.py $(TARGET)/release/loghound $(or $(LOGHOUND_SHARED),../shared)
	python3 tests/loghub/eval.py $(TARGET)/release/loghound $(or $(LOGHOUND_SHARED),../shared) --raw

ci:
	.ci/run
