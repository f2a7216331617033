# `make help` lists what there is. Every target does its own set-up.

# One selection of packages and features for every cargo call: another one would build the dependencies again.
ALL     := --workspace --locked --features wasmill/failpoints
TARGET  := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
PLUGINS := examples/plugins
# The binary that scenarios run: with failpoints, and out of the way of `make demo`.
TESTED  := $(abspath $(TARGET))/debug/wasmill-with-failpoints

.PHONY: help setup toolchains wasm-target kafka plugins languages build check test unit demo bench bench-nexmark bench-peers bench-latency bench-recovery bench-plugins clean
.NOTPARALLEL:

help:       ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: wasm-target toolchains kafka  ## everything that is not in this folder: compilers of plugins, Java, Maven and Kafka for the tests

wasm-target:
	@scripts/wasm-target.sh

toolchains: ## what builds plugins in Python, JavaScript, Go and C
	@for language in python js go c; do scripts/toolchain/$$language.sh || exit 1; done

kafka:
	@if [ -n "$${WASMILL_TEST_KAFKA:-}" ]; then echo "kafka: using $$WASMILL_TEST_KAFKA"; else scripts/kafka.sh fetch; fi

plugins: wasm-target  ## the example plugins, into examples/plugins
	@scripts/plugins.sh $(PLUGINS)

languages: toolchains build  ## the plugins in other languages, of examples and of tests, into examples/plugins
	@scripts/languages.sh $(TESTED) $(PLUGINS)
	@scripts/languages.sh $(TESTED) $(PLUGINS) tests/plugins

build:
	cargo build $(ALL)
	@cp -f $(TARGET)/debug/wasmill $(TESTED)

check: plugins  ## format, lints, documentation, licences and every test
	cargo fmt --all --check
	cargo clippy $(ALL) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc $(ALL) --no-deps
	@if command -v cargo-deny >/dev/null; then cargo deny --workspace check bans licenses sources; \
	 else echo "cargo-deny is not installed: licences and sources are checked by the test tidy"; fi
	@$(MAKE) --no-print-directory test

test: setup plugins build languages  ## every test, those on a real broker included
	@scripts/sdk-tests.sh
	WASMILL_BIN=$(TESTED) cargo test $(ALL) --no-fail-fast

unit:       ## the quick tests: no broker, no plugins
	cargo test $(ALL) --lib

demo: plugins  ## a fraud pipeline on made-up transactions, without a broker
	cargo build --workspace --locked
	@echo
	$(TARGET)/debug/wasmill run examples/demo.toml --until-end

bench: plugins kafka  ## the benchmarks (release build; see bench/README.md)
	cargo build --release --workspace --locked --bins
	cargo bench --workspace --locked --bench parts
	$(TARGET)/release/wasmill-bench $(BENCH)

bench-nexmark: plugins kafka  ## Nexmark's queries, with their outputs checked (release build)
	cargo build --release --workspace --locked --bins
	$(TARGET)/release/wasmill-nexmark $(BENCH)

bench-peers: plugins kafka  ## the same, with Flink and Kafka Streams beside it, into bench/RESULTS.md (needs a JDK; an hour)
	cargo build --release --workspace --locked --bins
	$(TARGET)/release/wasmill-nexmark --peers flink,streams --results bench/RESULTS.md $(BENCH)

bench-latency: plugins kafka  ## what a guarantee costs: throughput, and latency under an even load (release build)
	cargo build --release --workspace --locked --bins
	$(TARGET)/release/wasmill-latency $(BENCH)

bench-recovery: plugins kafka  ## kill -9 with 1 GiB of state, ours, Flink and Kafka Streams, into bench/RECOVERY.md (needs a JDK)
	cargo build --release --workspace --locked --bins
	$(TARGET)/release/wasmill-recovery --results bench/RECOVERY.md $(or $(BENCH),all)

bench-plugins: wasm-target toolchains  ## what a rule costs in each language: a table (release build; see bench/README.md)
	cargo build --release --workspace --locked --bins
	@scripts/bench-plugins.sh $(TARGET)/release/wasmill $(TARGET)/bench-plugins

clean:      ## remove what was built here
	cargo clean
	rm -rf $(PLUGINS) examples/out
