#!/usr/bin/env bash
# fuzz.sh build        builds the fuzzers (tests/fuzz) with clang
# fuzz.sh run SECONDS  runs each for so long, as many at once as there are processors; a crash's input is kept in
#                      build/fuzz/crashes and the exit status says so
source "$(dirname "$0")/lib.sh"

case "${1:-}" in
  build)
    build fuzz fuzzers
    ;;
  run)
    shopt -s nullglob
    fuzzers=(build/fuzz/bin/fuzz_*)
    [ ${#fuzzers[@]} -gt 0 ] || die "no fuzzers: scripts/fuzz.sh build"
    printf '%s\n' "${fuzzers[@]#build/fuzz/bin/fuzz_}" | xargs -P "$(nproc)" -I NAME "$0" one NAME "$2" ||
      die "fuzzers found something: build/fuzz/crashes has the inputs, build/fuzz/NAME.log what each said"
    ;;
  one)
    name=$2 found=build/fuzz/found/$2 seeds=tests/fuzz/corpus/$2
    mkdir -p build/fuzz/crashes "$found"
    say "fuzz $name for $3 s"
    [ -d "$seeds" ] || seeds=$found
    "build/fuzz/bin/fuzz_$name" -max_total_time="$3" -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 \
      -artifact_prefix="build/fuzz/crashes/$name-" "$found" "$seeds" >"build/fuzz/$name.log" 2>&1 ||
      { tail -n 40 "build/fuzz/$name.log" && die "$name found something"; }
    ;;
  *) die "fuzz.sh build | run SECONDS" ;;
esac
