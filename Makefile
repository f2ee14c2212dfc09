# Two commands for a newcomer: `make run`, `make test`. Both install what is missing first.
# One cargo profile (dev) serves both, so that RocksDB is compiled once.

TARGET := $(or $(CARGO_TARGET_DIR),target)
REKINDLE := $(TARGET)/debug/rekindle
CORPUS ?= ../shared/corpus/scribble
CARGO := cargo
# Inputs that `make fuzz` runs per target.
RUNS ?= 1000000

.PHONY: run build test verify fmt-check clippy corpus fix bless bench bench-protocol fuzz jepsen setup

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

# Writes every golden anew: diagnostics, pictures, traces of scripts, docs/cli.md, docs/errors.md. `REWRITE` is the one
# variable that all of them look at. Read the difference: `git diff`.
bless: setup
	REWRITE=1 $(CARGO) test --locked -p rekindle-protocol --test it -- goldens golden up_to_date
	REWRITE=1 $(CARGO) test --locked -p rekindle-statemachine --test it -- scripts formats
	REWRITE=1 $(CARGO) test --locked -p rekindle-node --lib formats
	REWRITE=1 $(CARGO) test --locked -p rekindle --bin rekindle the_document_lists

# Optimised build; compiles RocksDB once more.
bench: setup bench-protocol
	$(CARGO) run --locked --release --bin rekindle -- bench recovery

# Time and peak memory of the front end by shape and size of a protocol; see protocol/benches/front_end.rs.
bench-protocol:
	$(CARGO) bench --locked -p rekindle-protocol --bench front_end

# Looks for texts that the front end cannot stand: a panic, 10 s, 1 GiB. Not part of `verify`, which runs the inputs saved
# in protocol/testdata/fuzz. Needs `cargo install cargo-fuzz`; see fuzz/README.md.
fuzz:
	@for target in parser pipeline; do \
	    mkdir -p fuzz/corpus/$$target; \
	    $(CARGO) fuzz run --sanitizer none --no-trace-compares $$target fuzz/corpus/$$target protocol/testdata/fuzz/$$target -- \
	        -dict=fuzz/scribble.dict -max_len=4096 -timeout=10 -rss_limit_mb=1024 -entropic_scale_per_exec_time=1 \
	        -runs=$(RUNS) || exit 1; \
	done

# A minute of faults on real processes in network namespaces; what is not possible without root is said and skipped.
# SEED, DURATION and FAULTS choose another run.
SEED ?= 1
DURATION ?= 60s
FAULTS ?= all
jepsen: build
	@$(TARGET)/debug/rekindle-jepsen netns --seed $(SEED) --duration $(DURATION) --faults $(FAULTS) \
	    --out $(TARGET)/jepsen || { status=$$?; [ $$status = 77 ] || exit $$status; }

setup:
	@scripts/setup.sh
