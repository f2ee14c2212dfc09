#!/usr/bin/env bash
# The experiments of README.md, one after the other, each with what must come of it. Leaves nothing behind.
set -euo pipefail
cd "$(dirname "$0")"
compose() { ${COMPOSE:-docker-compose} -p rekindle-experiments -f compose.yaml "$@"; }
cleanup() { compose down --volumes --timeout 1 > /dev/null 2>&1; }
trap cleanup EXIT
say() { echo "== $*"; }
# `rekindle` inside the container of `east`, which reaches all nodes.
rekindle() { compose exec -T east rekindle "$@"; }
within() { local end=$((SECONDS + $1)); shift; until "$@" > /dev/null 2>&1; do [ $SECONDS -lt $end ] || { echo "waited in vain: $*"; exit 1; }; sleep 0.5; done; }
field() { python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"; }
leader() { rekindle cluster status -o json | field leader_id; }
phase() { rekindle session show "$1" -o json | field phase; }
completed() { [ "$(phase "$1")" = completed ]; }
crawl() { rekindle session start /examples/crawler/crawler.toml --session "$1" > /dev/null; }

say "up"
compose up -d > /dev/null 2>&1
within 120 rekindle health --agent east
within 60 rekindle health --agent west

say "a crawl while the leader is killed"
crawl one
lead=$(leader)
compose kill -s SIGKILL "node$lead" > /dev/null 2>&1
within 120 completed one
compose start "node$lead" > /dev/null 2>&1
within 60 compose exec -T "node$lead" rekindle health
echo "completed; node $lead is back"

say "a crawl while one node is disconnected and another is paused"
crawl two
lead=$(leader); other=$((lead % 3 + 1))
docker network disconnect rekindle-experiments_default "$(compose ps -q "node$other")"
within 120 completed two
docker network connect --alias "node$other" rekindle-experiments_default "$(compose ps -q "node$other")"
within 60 compose exec -T "node$other" rekindle health
echo "completed; node $other is back"

say "everything is paused for five seconds"
crawl three
compose pause > /dev/null 2>&1; sleep 5; compose unpause > /dev/null 2>&1 2>&1
within 120 completed three
echo "completed"

say "a local supervisor is killed"
crawl four
compose kill -s SIGKILL west > /dev/null 2>&1
compose start west > /dev/null 2>&1
within 120 completed four
echo "completed"
say "all experiments came out as expected"
