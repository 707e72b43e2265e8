#!/usr/bin/env bash
# make chaos: what users do, at random, while everything of ours is killed, for so many minutes; afterwards kernel, store and
# database agree and nothing is left (tests/system/test_chaos.py). chaos.sh MINUTES [SEED]; the seed is printed.
source "$(dirname "$0")/lib.sh"

scripts/setup-build.sh build image
build dev lm-sandbox lm-sandbox-launcher lm-sandbox-guest lm-sandbox-archiver lm-sandbox-gate lm-sandbox-tool
make_images build/dev/bin
as_root env LMSB_BIN="$PWD/build/dev/bin" LMSB_CHAOS="$((${1:-10} * 60))" ${2:+LMSB_SEED="$2"} python3 tests/system/test_chaos.py
