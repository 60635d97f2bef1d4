# RushMall: make run | run-cluster | drill | test | check | bench | chaos. Needs git and Rust; the servers of a
# cluster are installed from Debian's packages; the web client, `make check` and `make test` need Node.js as well.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Build output lies outside the clone and is shared by clones; CARGO_TARGET_DIR=… puts it elsewhere.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rushmall/target
$(shell scripts/own-build "$(CARGO_TARGET_DIR)")
# Whole builds gain nothing from what an incremental one keeps on the disk.
export CARGO_INCREMENTAL ?= 0

# make run PORT=9000 ARGS="--data-dir /var/lib/rushmall --no-demo"
PORT ?= 8080
ARGS ?=

# The binary that tests drive, and all tests with it: crates are compiled at once and with the same features.
DEBUG_BINARY := cargo build --locked --features failpoints --bins --tests

# One TLS backend (aws-lc-rs), no system OpenSSL, no crate with an open advisory.
BANNED := openssl-sys|native-tls|ring|rsa

.PHONY: help run run-cluster drill web test test-embedded test-sdk test-web test-cluster test-engines test-on-servers trace \
	check check-web lint-web web-types web-screenshots bench bench-micro chaos fmt lint doc alerts bans deny

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

run: web ## Build and serve the shop (PORT=8080, ARGS="…" for flags of `rushmall serve`)
	cargo build --release --locked
	@exec "$$CARGO_TARGET_DIR/release/rushmall" serve --port $(PORT) $(ARGS)

run-cluster: web ## Build and serve the shop on three nodes with all servers (PORT, ARGS="--nodes 5 --database postgres")
	cargo build --release --locked
	@exec scripts/cluster run --port $(PORT) $(ARGS)

# The pages, for the binary to embed; without Node.js the shop runs all the same.
web:
	@scripts/web build-if-possible

drill: ## Rehearse a sale against a shop (ARGS="--buyers 5000 --stock 500 --rate 3000")
	cargo build --release --locked
	@exec "$$CARGO_TARGET_DIR/release/rushmall" drill $(ARGS)

test: ## Run every test on all back ends, with the failpoints compiled in
	collector=$$(scripts/collector); \
	RUSHMALL_TEST_COLLECTOR="$$collector" RUSHMALL_TEST_SERVICES=1 \
		scripts/services with --no-sync redis redis-cluster rabbitmq mariadb postgres -- \
		$(MAKE) test-embedded test-sdk test-web test-on-servers test-cluster

# Most tests wait more than they work; of those that keep the machine busy one runs on each core.
BUSY := chaos crash kit model nodes races
CRATES := $(patsubst %/main.rs,%,$(wildcard tests/*/main.rs)) $(basename $(wildcard tests/*.rs))
PATIENT := $(filter-out $(BUSY) sdk,$(CRATES:tests/%=%))
AT_ONCE := RUST_TEST_THREADS=4

# Every test, the shops under test on the embedded back ends; those of single back ends use the servers.
test-embedded:
	$(AT_ONCE) cargo test --locked --features failpoints --lib --bins $(PATIENT:%=--test %)
	cargo test --locked --features failpoints $(BUSY:%=--test %)
	cargo test --locked --features failpoints --doc

test-sdk: ## Run the payment SDKs of others against the sandbox gateway and the shop, and print the matrix (needs Node.js)
	sdks=$$(scripts/sdks); RUSHMALL_TEST_SDKS="$$sdks" cargo test --locked --features failpoints --test sdk -- --nocapture

test-web: ## Run the web client's tests, in Chromium against the real server too (needs Node.js)
	$(DEBUG_BINARY)
	RUSHMALL_BIN="$$CARGO_TARGET_DIR/debug/rushmall" scripts/web test

# What buyers, administrators and crashes do, once more on Redis, RabbitMQ and MariaDB: the same binaries.
# RUSHMALL_TEST_DATABASE=postgres and RUSHMALL_TEST_REDIS=cluster in front of it choose the other servers.
test-cluster: ## Run the tests of the shop on the back ends of a cluster (inside scripts/services with ...)
	collector=$$(scripts/collector); \
	export RUSHMALL_TEST_COLLECTOR="$$collector" RUSHMALL_TEST_SERVICES=1 RUSHMALL_TEST_BACKENDS=cluster; \
	cargo test --locked --features failpoints --test races --test api --test money --test actors --test reconcile --test observe; \
	cargo test --locked --features failpoints --test crash -- --skip r57 --skip r54_money

trace: ## Print the trace of one purchase on Redis, RabbitMQ and MariaDB, as a real collector got it
	collector=$$(scripts/collector); \
	RUSHMALL_TEST_COLLECTOR="$$collector" RUSHMALL_TEST_SERVICES=1 RUSHMALL_TEST_BACKENDS=cluster \
		scripts/services with redis rabbitmq mariadb -- \
		cargo test --locked --features failpoints --test observe a_purchase_is_one_trace -- --nocapture

test-engines: ## Run the repository tests on MariaDB and on PostgreSQL
	scripts/services with mariadb postgres -- $(MAKE) test-on-servers

# With the servers of scripts/services; nothing is skipped on either.
test-on-servers:
	$(AT_ONCE) RUSHMALL_TEST_DATABASE_URL="$$RUSHMALL_TEST_MYSQL_URL" cargo test --locked --features failpoints --lib -- persistence ops::
	$(AT_ONCE) RUSHMALL_TEST_DATABASE_URL="$$RUSHMALL_TEST_POSTGRES_URL" cargo test --locked --features failpoints --lib -- persistence ops::

check: ## Formatting, lints, docs, alerts, banned crates, advisories; the web client
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint-web fmt lint doc alerts bans deny
	@$(MAKE) --no-print-directory check-web

fmt:
	cargo fmt --all --check

lint:
	cargo clippy --locked --all-targets --all-features -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

alerts: ## Check the alerts and run their tests (promtool)
	scripts/promtool check rules deploy/prometheus/rules/*.yml
	scripts/promtool check config deploy/prometheus/prometheus.yml
	scripts/promtool test rules deploy/prometheus/tests/*.yml

bans:
	@tree=$$(cargo tree --locked --prefix none --edges normal,build --target all); \
	if grep -E '^($(BANNED)) v' <<< "$$tree"; then echo "error: these crates are banned, see deny.toml" >&2; exit 1; fi; \
	echo "no banned crate: $(BANNED)"

deny:
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check; \
	else echo "skipped: advisories and yanked versions. Install once: cargo install --locked cargo-deny"; fi

lint-web:
	scripts/web lint

check-web: ## Whether the web client's types are those of our OpenAPI description
	$(DEBUG_BINARY)
	RUSHMALL_BIN="$$CARGO_TARGET_DIR/debug/rushmall" scripts/web check-types

web-types: ## Write the web client's types anew, from our OpenAPI description
	$(DEBUG_BINARY)
	RUSHMALL_BIN="$$CARGO_TARGET_DIR/debug/rushmall" scripts/web types

web-screenshots: ## Take the pictures of docs/screenshots anew
	$(DEBUG_BINARY)
	RUSHMALL_BIN="$$CARGO_TARGET_DIR/debug/rushmall" scripts/web screenshots

bench: ## Measure the shop on Redis, RabbitMQ and MariaDB (BENCH_PAIRS=2 BENCH_SECONDS=2 for a look)
	cargo bench --locked --bench shop

bench-micro: ## Run the benches of single parts
	cargo bench --locked --bench actor_kit --bench batches
	scripts/services with redis -- env bash -c 'RUSHMALL_BENCH_REDIS_URL=$$RUSHMALL_TEST_REDIS_URL cargo bench --locked --bench redis_ledger'

# make chaos SECONDS=900 SEED=17 DATABASE=postgres REPORT=chaos.json; a run without SEED takes a random one and prints it.
chaos: ## Kill, stop, flush and partition a cluster under load, then audit it (SECONDS=300 SEED= DATABASE= REPORT=)
	RUSHMALL_TEST_SERVICES=1 RUSHMALL_CHAOS_SECONDS=$(or $(SECONDS),300) RUSHMALL_CHAOS_SEED=$(SEED) \
	RUSHMALL_CHAOS_DATABASE=$(DATABASE) RUSHMALL_CHAOS_REPORT=$(abspath $(REPORT)) \
	cargo test --locked --features failpoints a_cluster_in_a_storm -- --nocapture