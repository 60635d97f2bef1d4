# RushMall: make run | run-cluster | drill | test | check | bench | chaos. Needs git and Rust only; the servers of a
# cluster are installed from Debian's packages.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Build output lies outside the clone and is shared by clones; CARGO_TARGET_DIR=… puts it elsewhere.
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rushmall/target

# make run PORT=9000 ARGS="--data-dir /var/lib/rushmall --no-demo"
PORT ?= 8080
ARGS ?=

# One TLS backend (aws-lc-rs), no system OpenSSL, no crate with an open advisory.
BANNED := openssl-sys|native-tls|ring|rsa

.PHONY: help run run-cluster drill test test-embedded test-sdk test-cluster test-engines test-on-servers check bench \
	bench-micro chaos fmt lint doc bans deny

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

run: ## Build and serve the shop (PORT=8080, ARGS="…" for flags of `rushmall serve`)
	cargo build --release --locked
	@exec "$$CARGO_TARGET_DIR/release/rushmall" serve --port $(PORT) $(ARGS)

run-cluster: ## Build and serve the shop on three nodes with all servers (PORT, ARGS="--nodes 5 --database postgres")
	cargo build --release --locked
	@exec scripts/cluster run --port $(PORT) $(ARGS)

drill: ## Rehearse a sale against a shop (ARGS="--buyers 5000 --stock 500 --rate 3000")
	cargo build --release --locked
	@exec "$$CARGO_TARGET_DIR/release/rushmall" drill $(ARGS)

test: ## Run every test on all back ends, with the failpoints compiled in
	RUSHMALL_TEST_SERVICES=1 scripts/services with redis redis-cluster rabbitmq mariadb postgres -- \
		$(MAKE) test-embedded test-sdk test-on-servers test-cluster

# Every test, the shops under test on the embedded back ends; those of single back ends use the servers.
test-embedded:
	cargo test --locked --features failpoints

test-sdk: ## Run the payment SDKs of others against the sandbox gateway and the shop, and print the matrix (needs Node.js)
	sdks=$$(scripts/sdks); RUSHMALL_TEST_SDKS="$$sdks" cargo test --locked --features failpoints --test sdk -- --nocapture

# What buyers, administrators and crashes do, once more on Redis, RabbitMQ and MariaDB: the same binaries.
# RUSHMALL_TEST_DATABASE=postgres and RUSHMALL_TEST_REDIS=cluster in front of it choose the other servers.
test-cluster: ## Run the tests of the shop on the back ends of a cluster (inside scripts/services with ...)
	RUSHMALL_TEST_SERVICES=1 RUSHMALL_TEST_BACKENDS=cluster cargo test --locked --features failpoints --test races --test api --test crash --test money

test-engines: ## Run the repository tests on MariaDB and on PostgreSQL
	scripts/services with mariadb postgres -- $(MAKE) test-on-servers

# With the servers of scripts/services; nothing is skipped on either.
test-on-servers:
	RUSHMALL_TEST_DATABASE_URL="$$RUSHMALL_TEST_MYSQL_URL" cargo test --locked --features failpoints -- persistence ops::
	RUSHMALL_TEST_DATABASE_URL="$$RUSHMALL_TEST_POSTGRES_URL" cargo test --locked --features failpoints -- persistence ops::

check: fmt lint doc bans deny ## Formatting, lints, docs, banned crates, licences and advisories

fmt:
	cargo fmt --all --check

lint:
	cargo clippy --locked --all-targets --all-features -- -D warnings

doc:
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps

bans:
	@tree=$$(cargo tree --locked --prefix none --edges normal,build --target all); \
	if grep -E '^($(BANNED)) v' <<< "$$tree"; then echo "error: these crates are banned, see deny.toml" >&2; exit 1; fi; \
	echo "no banned crate: $(BANNED)"

deny:
	@if command -v cargo-deny >/dev/null; then cargo deny --locked check; \
	else echo "skipped: licences and advisories. Install once: cargo install --locked cargo-deny"; fi

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