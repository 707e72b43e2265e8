#!/usr/bin/env bash
# make test-faults: a fault at every system call that launcher and daemon make in every operation: three errors, and a kill
# (tests/system/test_injected.py). Hours. Goes on where an earlier run of the same checkout ended: build/injected.log has a
# line for each fault; remove it to begin anew. ONLY=create,stop: these operations; SECONDS_EACH=600: so long for each of the
# four tests, whose rounds are each spread over everything. The sum is printed at the end.
source "$(dirname "$0")/lib.sh"

log=build/injected.log
as_root env LMSB_BIN="$PWD/build/dev/bin" LMSB_INJECT=all LMSB_INJECT_ONLY="${ONLY:-}" LMSB_INJECT_LOG="$PWD/$log" \
  LMSB_INJECT_SECONDS="${SECONDS_EACH:-inf}" python3 tests/system/test_injected.py || status=$?
awk '{ kind = $5 == "signal=KILL" ? "kills" : "errors"; n[$1 " " kind]++; if ($6 != "passed") failed[$1 " " kind]++ }
  END { for (k in n) printf "%-16s %6d faults, %d failed\n", k, n[k], failed[k] }' "$log" | sort
exit "${status:-0}"
