#!/usr/bin/env bash
# make lint: every check runs, then the exit status says whether all passed.
# lint.sh         clang-tidy reads the programs' sources (some 2 s a file and core)
# lint.sh --all   and the tests' sources
# lint.sh --format  changes the sources' layout, and that is all
source "$(dirname "$0")/lib.sh"

failed=()
check() {  # check NAME COMMAND...
  local name=$1 start=$SECONDS
  shift
  say "$name"
  if "$@"; then
    printf 'ok (%d s)\n' $((SECONDS - start))
  else
    failed+=("$name")
  fi
}

sources() { find src tests bench -type f \( -name '*.cc' -o -name '*.h' \) -print0 2>/dev/null || true; }

layout() { sources | xargs -0 -r clang-format-14 --dry-run -Werror; }

tidy() {
  sources | grep -z '\.cc$' | if [ "${1:-}" = --all ]; then cat; else grep -zv '_test\.cc$\|^tests/'; fi |
    xargs -0 -r -n 4 -P "$(nproc)" clang-tidy-14 -p build/dev --quiet --extra-arg=-Wno-unknown-warning-option 2>&1 |
    { grep -vE '^[0-9]+ warnings? generated|^Suppressed |^Use -header-filter' || true; }
}

scripts_are_sound() { git ls-files -z --cached --others --exclude-standard '*.sh' .ci/run | xargs -0 shellcheck; }

if [ "${1:-}" = --format ]; then
  scripts/setup-build.sh lint
  sources | xargs -0 -r clang-format-14 -i
  exit
fi
scripts/setup-build.sh build test lint
# New sources enter compile_commands.json and layers.txt. Beside tests that has been done, and CTest reads what this writes.
[ -n "${BESIDE_TESTS:-}" ] || cmake --preset dev >/dev/null

check "layout (clang-format)" layout
check "sizes and forbidden words: self-test" tools/lint/check_text.py --self-test
check "sizes and forbidden words" tools/lint/check_text.py src tests bench
check "layers" python3 tools/check_layers.py src build/dev/layers.txt
check "coroutines: self-test" tools/lint/check_co_await.py --self-test
check "coroutines (clang-query)" tools/lint/check_co_await.py build/dev
check "scripts (shellcheck)" scripts_are_sound
check "clang-tidy" tidy "${1:-}"

if [ ${#failed[@]} -gt 0 ]; then
  printf '\nlint FAILED: %s\n' "${failed[@]}"
  exit 1
fi
printf '\nlint passed\n'
