#!/usr/bin/env bash
# make test: everything from nothing - packages, one Debug build, the default images - then all tests. Skipped tests
# are named with their reason; CTest's summary closes.
# BESIDE=COMMAND: runs while the tests do, when nothing else wants a processor, and has to end well too. Tests mostly wait.
source "$(dirname "$0")/lib.sh"

# Prints "name: reason" for each skipped test of a JUnit file, and "name: part: reason" for what was skipped within one
# that passed.
skips() {
  python3 - "$1" <<'PYTHON'
import re, sys, xml.etree.ElementTree
for case in xml.etree.ElementTree.parse(sys.argv[1]).iter("testcase"):
    name = case.get("name")
    parts = re.findall(r"^(.+): Skipped\n(.+)", case.findtext("system-out") or "", re.MULTILINE)
    if case.find("skipped") is not None:
        print(f"  {name}: {parts[0][1].strip() if parts else 'no reason given'}")
    else:
        for part, reason in parts:
            print(f"  {name}: {part}: {reason.strip()}")
PYTHON
}

scripts/setup-build.sh build image test
# Images mostly wait for what comes over the network: they are made while the rest compiles.
build dev lm-sandbox-tool
make_images build/dev/bin &
images=$! built=0
build dev || built=$?
wait "$images"
[ "$built" = 0 ] || exit "$built"
scripts/fuzz.sh build
scripts/vm.sh --fetch
for folder in clients/typescript tests/clients/openai tests/clients/anthropic tests/clients/ollama; do
  scripts/setup-npm.sh "$folder" || say "the test of $folder will be skipped"
done

beside_command=${BESIDE:-} beside=
unset BESIDE
if [ -n "$beside_command" ]; then
  BESIDE_TESTS=1 chrt --idle 0 nice -n 19 bash -c "$beside_command" >build/dev/beside.log 2>&1 &
  beside=$!
  trap 'kill "$beside" 2>/dev/null || true' EXIT
fi

say "tests"
log=build/dev/tests.log status=0
# Of tests that passed, too, all output is kept: what was skipped in them stands at its end.
as_root ctest --test-dir build/dev --output-on-failure --no-tests=error --timeout 600 --output-junit tests.xml \
  --test-output-size-passed 1000000 |
  tee "$log" || status=$?
[ "$(id -u)" = 0 ] || as_root chown -R "$(id -u):$(id -g)" build/dev
if [ -n "$beside" ]; then
  say "beside the tests: $beside_command"
  wait "$beside" || { status=$?; printf 'FAILED: %s\n' "$beside_command" >>"$log"; }
  trap - EXIT
  cat build/dev/beside.log
fi
skipped=$(skips build/dev/tests.xml)
[ -z "$skipped" ] || printf '\nSkipped on this machine:\n%s\n' "$skipped"
[ -z "$skipped$beside" ] || sed -n '/% tests passed/,$p' "$log"
exit $status
