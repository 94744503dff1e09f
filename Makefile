# loghound: what people and CI run. `make run` and `make test` are the first screen of README.md.

CARGO ?= cargo
# Where cargo puts what it builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help run demo build ui test test-kafka bench-kafka test-ui test-clients lint deny fmt check-deploy bench bench-peers bench-query soak fuzz eval-templates ci

help:
	@echo 'make run     build and start: Beats on 127.0.0.1:5044, HTTP on 127.0.0.1:8044, data in ./loghound-data'
	@echo 'make demo    the same on a temporary directory, with sample traffic'
	@echo 'make ui      build the web UI into the binary that is built next (Node 20.19 or newer)'
	@echo 'make test    all tests, real clients included where their runtimes are installed'
	@echo 'make test-kafka  Kafka in, against a real broker that is killed (Java, Maven)'
	@echo 'make bench-kafka  lines a second from a full topic of a real broker'
	@echo 'make test-ui the web UI: types, units, and all pages in Chromium against a real loghound'
	@echo 'make lint    formatting and lints, warnings as errors'
	@echo 'make deny    licences, sources and duplicates of the dependencies (cargo install cargo-deny --locked)'
	@echo 'make fmt     format the code'
	@echo 'make check-deploy  ask Helm, Kubernetes'"'"' schemas, checkov and Prometheus of deploy/'
	@echo 'make bench   the stage benches'
	@echo 'make bench-peers  the whole path against VictoriaLogs (Go; takes some ten minutes)'
	@echo 'make bench-query  the kinds of queries over HTTP against VictoriaLogs: QUERY_EVENTS=1000000'
	@echo 'make soak    crash and cut connections for an hour: SOAK_MINUTES=60'
	@echo 'make fuzz    break the parsers of foreign bytes, FUZZ_MINUTES=60 shared among the targets'
	@echo 'make eval-templates   score the template miner on labelled lines, where they are'
	@echo 'make ci      what CI runs'

# The web UI. Without Node the binary is built all the same, and its front page says how to get the UI.
WEB := dashboards/web
UI_SOURCES := $(shell find $(WEB)/src $(WEB)/scripts $(WEB)/index.html $(WEB)/package-lock.json $(WEB)/vite.config.ts $(WEB)/svelte.config.js -type f)

ui:
	@if command -v npm >/dev/null 2>&1; then $(MAKE) --no-print-directory $(WEB)/dist/index.html; \
	else echo 'make: no npm here, so this binary has no web UI: install Node 20.19 or newer and run make ui' >&2; fi

$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	cd $(WEB) && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.package-lock.json

$(WEB)/dist/index.html: $(WEB)/node_modules/.package-lock.json $(UI_SOURCES)
	cd $(WEB) && npm run --silent build

build: ui
	$(CARGO) build --release --locked --bin loghound

run: build
	$(TARGET)/release/loghound serve

demo: build
	$(TARGET)/release/loghound demo

# The Go, Python and Node clients that the tests start. A client whose runtime is absent is skipped, and says so.
test-clients:
	@tests/clients/setup.sh || echo 'make: a client could not be set up; the tests that need it say so' >&2

# Kafka in: librdkafka's mock cluster, and a real broker where Java and Maven are. LOGHOUND_KAFKA_ROUNDS=50 for longer.
test-kafka: test-clients
	$(CARGO) test --locked --test kafka -- --nocapture

# Lines a second from a full topic of a real broker: LOGHOUND_KAFKA_LINES=1000000.
bench-kafka: test-clients
	$(CARGO) test --locked --release --test kafka -- --ignored --nocapture lines_a_second

test: test-clients
	$(CARGO) test --locked --no-fail-fast

# Chromium is Debian's (apt install chromium), or $$CHROMIUM; the server is the debug build, or $$LOGHOUND_BIN.
test-ui: ui
	cd $(WEB) && npm run --silent check && npm run --silent test
	$(if $(LOGHOUND_BIN),,$(CARGO) build --locked --bin loghound)
	cd $(WEB) && LOGHOUND_BIN=$(or $(LOGHOUND_BIN),$(abspath $(TARGET))/debug/loghound) npm run --silent e2e

# Gets Helm, checkov, Kubernetes' schemas and Prometheus from their registries, and asks them.
check-deploy: build
	TOOLS="$(abspath $(TARGET))/deploy-tools" LOGHOUND_BIN="$(abspath $(TARGET))/release/loghound" deploy/check

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# Needs no network. Advisories do: cargo deny check advisories.
deny:
	@command -v cargo-deny >/dev/null || { echo 'make: cargo-deny is not here: cargo install cargo-deny --locked' >&2; exit 1; }
	$(CARGO) deny --offline --locked check bans licenses sources

fmt:
	$(CARGO) fmt --all

bench:
	$(CARGO) bench --locked --bench parse --bench grok --bench decode --bench template --bench journal --bench store

# The peer is built from its Go module, outside of this tree's own sources.
PEERS := $(TARGET)/peers
VICTORIA := github.com/VictoriaMetrics/VictoriaMetrics@v1.121.0

$(PEERS)/victoria-logs:
	mkdir -p $(PEERS)/src
	go mod download $(VICTORIA)
	cp -r "$$(go env GOMODCACHE)/github.com/!victoria!metrics/!victoria!metrics@v1.121.0/." $(PEERS)/src
	chmod -R u+w $(PEERS)/src && rm -rf $(PEERS)/src/vendor
	cd $(PEERS)/src && go build -mod=mod -o "$(abspath $(PEERS))/victoria-logs" ./app/victoria-logs

bench-peers: $(PEERS)/victoria-logs
	$(CARGO) bench --locked --bench end_to_end -- --events 1000000 --rounds 3 --peer "$(abspath $(PEERS))/victoria-logs"

# A million records over ten days; QUERY_EVENTS=20000000 needs some ten GB of disk.
QUERY_EVENTS ?= 1000000
bench-query: $(PEERS)/victoria-logs
	$(CARGO) bench --locked --bench query -- --events $(QUERY_EVENTS) --peer "$(abspath $(PEERS))/victoria-logs"

# The crash and cut tests again and again, each time with other moments.
SOAK_MINUTES ?= 60
soak: test-clients
	end=$$(( $$(date +%s) + 60 * $(SOAK_MINUTES) )); rounds=0; \
	while [ "$$(date +%s)" -lt "$$end" ]; do \
	    LOGHOUND_CRASH_ROUNDS=100 $(CARGO) test --locked --test crash --test faults --test full_disk || exit 1; \
	    rounds=$$((rounds + 1)); \
	done; echo "soak: $$rounds rounds without a lost or doubled line"

# The minutes are shared among the targets, all of them or FUZZ_TARGETS.
FUZZ_MINUTES ?= 60
FUZZ_TARGETS ?=
fuzz:
	fuzz/run $$((60 * $(FUZZ_MINUTES))) $(FUZZ_TARGETS)

# Labelled lines are outside the repository: `$$LOGHOUND_SHARED`, else ../shared.
eval-templates: build
	python3 tests/loghub/eval.py $(TARGET)/release/loghound $(or $(LOGHOUND_SHARED),../shared)
	python3 tests/loghub/eval.py $(TARGET)/release/loghound $(or $(LOGHOUND_SHARED),../shared) --raw

ci:
	.ci/run
