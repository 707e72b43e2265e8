#!/usr/bin/env bash
# fuzz.sh build        builds the fuzzers (tests/fuzz) with clang
# fuzz.sh run SECONDS  runs each for so long; a crash's input is kept in build/fuzz/crashes and the exit status says so
source "$(dirname "$0")/lib.sh"

case "${1:-}" in
  build)
    build fuzz fuzzers
    ;;
  run)
    seconds=$2 failed=()
    mkdir -p build/fuzz/crashes
    for fuzzer in build/fuzz/bin/fuzz_*; do
      [ -x "$fuzzer" ] || die "no fuzzers: scripts/fuzz.sh build"
      name=${fuzzer##*/fuzz_} corpus=tests/fuzz/corpus/${fuzzer##*/fuzz_} found=build/fuzz/found/${fuzzer##*/fuzz_}
      mkdir -p "$found"
      seeds=()
      [ ! -d "$corpus" ] || seeds=("$corpus")
      say "fuzz $name for $seconds s"
      "$fuzzer" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/crashes/$name-" "$found" "${seeds[@]}" || failed+=("$name")
    done
    [ ${#failed[@]} = 0 ] || die "fuzzers that found something: ${failed[*]}"
    ;;
  *) die "fuzz.sh build | run SECONDS" ;;
esac
