#!/usr/bin/env bash
# check_glibc.sh BIN_DIR: the programs there ask for nothing newer than glibc 2.35 (Ubuntu 22.04), and guest and
# archiver, which run where no library is, are static and small. Names the calls that are too new.
set -euo pipefail
bin=$1
newest=2.35 most_bytes=$((1024 * 1024))
status=0

complain() {
  printf 'error: %s\n' "$*" >&2
  status=1
}

# "2.38 __isoc23_strtol" for each symbol of PROGRAM that is too new.
too_new() {
  objdump -T "$1" | sed -nE 's/.*\(?GLIBC_([0-9.]+)\)? +([^ ]+)$/\1 \2/p' | sort -u |
    awk -v newest="$newest" '{split($1, v, "."); split(newest, n, ".")}
      v[1] > n[1] || (v[1] == n[1] && v[2] + 0 > n[2] + 0) {print "  " $0}'
}

for program in lm-sandbox lm-sandbox-launcher lm-sandbox-tool; do
  versions=$(readelf -V "$bin/$program" | grep -oE 'GLIBC_[0-9.]+' | sed 's/GLIBC_//' | sort -uV)
  [ -n "$versions" ] || complain "$program names no version of glibc at all"
  highest=$(tail -n 1 <<<"$versions")
  if [ "$(printf '%s\n' "$highest" "$newest" | sort -V | tail -n 1)" != "$newest" ]; then
    complain "$program needs glibc $highest; at most $newest"
    too_new "$bin/$program" >&2
  else
    printf '%s: glibc %s\n' "$program" "$highest"
  fi
done

for program in lm-sandbox-guest lm-sandbox-archiver lm-sandbox-gate; do
  if readelf -lW "$bin/$program" | grep -qE 'INTERP|DYNAMIC'; then complain "$program is not static"; fi
  size=$(stat -c %s "$bin/$program")
  [ "$size" -lt "$most_bytes" ] || complain "$program has $size bytes; less than $most_bytes allowed"
  printf '%s: static, %s bytes\n' "$program" "$size"
done
exit "$status"
