#!/usr/bin/env bash
# make bench: floors, peers and ours in one run, as a table and as JSON in bench/results/ (docs/benchmarks.md).
source "$(dirname "$0")/lib.sh"

scripts/setup-build.sh build image bench
build release all bench-programs
make_images build/bin
as_root build/bin/lm-sandbox bench "$@"
