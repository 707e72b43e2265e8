# shellcheck shell=bash
# What the scripts share. Source it; it moves to the project's root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The distribution's own python3 and tools, not another one that stands before them: only it sees the packages.
export PATH="/usr/sbin:/usr/bin:/sbin:/bin:$PATH" LC_ALL=C.UTF-8

# Images take a minute to make and do not depend on the build: they are kept outside of it.
export LMSB_TEST_DATA="${LMSB_TEST_DATA:-/var/cache/lm-sandbox-test}"

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo --preserve-env=LMSB_TEST_DATA,MIRROR,http_proxy,https_proxy,no_proxy "$@"
  else
    die "this needs root, and there is no sudo: run it as root"
  fi
}

# build PRESET [NINJA ARGUMENTS]: configures once, builds; ninja configures again when it must.
build() {
  local preset=$1 dir=build/$1
  shift
  [ "$preset" = release ] && dir=build
  [ -f "$dir/build.ninja" ] || cmake --preset "$preset" >&2
  ninja -C "$dir" "$@" >&2
}

# make_images BIN_DIR [DATA_DIR]: the default images that are missing there, or that another version made.
make_images() {
  local name data=${2:-$LMSB_TEST_DATA}
  for name in base llama; do
    as_root "$1/lm-sandbox-tool" image check "$name" --data-dir "$data" 2>/dev/null && continue
    say "making the image $name in $data"
    as_root "$1/lm-sandbox-tool" image build "$name" --data-dir "$data" >&2
  done
}
