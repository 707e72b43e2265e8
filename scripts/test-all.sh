#!/usr/bin/env bash
# make test-all: what takes too long for every change. Goes through all parts, then prints one line for each;
# docs/testing.md quotes the last result. Writes nothing outside build/. FUZZ_SECONDS=300 a fuzzer, SOAK_SECONDS=600,
# CHAOS_SECONDS=3600.
source "$(dirname "$0")/lib.sh"

results=() status=0

part() {  # part NAME COMMAND...; a command that ends with 77 cannot run here
  local name=$1 start=$SECONDS verdict=ok code=0
  shift
  say "$name"
  "$@" || code=$?
  case $code in 0) ;; 77) verdict=skipped ;; *) verdict=FAILED status=1 ;; esac
  results+=("$(printf '%-36s %-8s %5d s' "$name" "$verdict" $((SECONDS - start)))")
}

# Sanitizers cannot follow into namespaces and static programs: unit and connection tests only.
# shellcheck disable=SC2317  # called by part
sanitized_tests() {
  build asan unit_tests &&
    ASAN_OPTIONS=detect_stack_use_after_return=1 UBSAN_OPTIONS=print_stacktrace=1 \
      ctest --test-dir build/asan -L unit --output-on-failure --no-tests=error
}

# shellcheck disable=SC2317  # called by part
newer_compiler() {
  apt-cache show clang-19 >/dev/null 2>&1 || return 77
  scripts/setup-build.sh all && build clang
}

# shellcheck disable=SC2317  # called by part
page_in_a_browser() {
  apt-cache show chromium >/dev/null 2>&1 || return 77
  scripts/setup-build.sh browser && system_test browser
}

# Each system test on a machine of its own that no packet may leave. Not those that have an internet, and the browser, which
# is not ours and calls home.
# shellcheck disable=SC2317  # called by part
captured_tests() {
  local file name code failed=0
  for file in tests/system/test_*.py; do
    name=$(basename "$file" .py)
    case $name in test_network | test_fail_closed | test_browser) continue ;; esac
    code=0
    system_test "${name#test_}" LMSB_CAPTURE=1 || code=$?
    case $code in 0 | 77) ;; *) failed=1 && say "$name: FAILED" ;; esac
  done
  return "$failed"
}

# shellcheck disable=SC2317  # called by part
system_test() {  # system_test NAME [VARIABLE=VALUE...]
  local name=$1
  shift
  as_root env LMSB_BIN="$PWD/build/dev/bin" "$@" python3 "tests/system/test_$name.py"
}

part "default tests" scripts/test.sh
part "lint, all files" scripts/lint.sh --all
part "system tests on cgroup v2, in a VM" scripts/vm.sh
part "AppArmor's restriction, in a VM with a newer kernel" env VM_KERNEL=newer scripts/vm.sh apparmor
part "a fault at every system call" scripts/test-faults.sh
part "no packet leaves, all system tests" captured_tests
part "chaos, ${CHAOS_SECONDS:=3600} s" system_test chaos LMSB_CHAOS="$CHAOS_SECONDS"
part "10,000 runs of every kind" system_test mix LMSB_MIX=10000
part "files of 10 GiB" system_test streams LMSB_STREAM_GIB=10
part "a page in a browser" page_in_a_browser
part "soak, ${SOAK_SECONDS:=600} s" as_root env LMSB_SOAK="$SOAK_SECONDS" LMSB_BIN="$PWD/build/dev/bin" python3 tests/system/soak.py
part "ASan and UBSan" sanitized_tests
part "build with clang 19" newer_compiler
part "fuzzers, ${FUZZ_SECONDS:=300} s each" scripts/fuzz.sh run "$FUZZ_SECONDS"

printf '\n%s, %s, Linux %s\n' "$(date -u +%F)" "$(. /etc/os-release && echo "$PRETTY_NAME")" "$(uname -r)"
printf '%s\n' "${results[@]}"
exit $status
