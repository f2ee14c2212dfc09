# Two commands for a newcomer: `make run`, `make test`. Both install what is missing first.
# One cargo profile (dev) serves both, so that RocksDB is compiled once.

TARGET := $(or $(CARGO_TARGET_DIR),target)
REKINDLE := $(TARGET)/debug/rekindle
CORPUS ?= ../shared/corpus/scribble
CARGO := cargo

.PHONY: run build test verify fmt-check clippy corpus fix bench setup

# The main job: a crawl whose worker F1 is killed together with the leader of the cluster.
run: build
	$(REKINDLE) run examples/crawler/crawler.toml --crash F1@20 --kill-leader

build: setup
	$(CARGO) build --locked --workspace --bins

test: setup
	$(CARGO) test --locked --workspace --no-fail-fast

# Reads only; what CI runs.
verify: fmt-check clippy test corpus

fmt-check: setup
	$(CARGO) fmt --all --check

clippy: setup
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

# Reports how the checks agree with a corpus of protocols with known verdicts, where there is one.
corpus: build
	@if [ -f "$(CORPUS)/MANIFEST.tsv" ]; then \
	    $(REKINDLE) protocol check --corpus "$(CORPUS)/MANIFEST.tsv" --baseline protocol/testdata/corpus-baseline.txt; \
	else \
	    echo "no corpus at $(CORPUS): skipped"; \
	fi

# Writes: formatting, and what clippy can mend by itself.
fix: setup
	$(CARGO) clippy --workspace --all-targets --fix --allow-dirty --allow-staged
	$(CARGO) fmt --all

# Optimised build; compiles RocksDB once more.
bench: setup
	$(CARGO) run --locked --release --bin rekindle -- bench recovery

setup:
	@scripts/setup.sh
