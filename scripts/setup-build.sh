#!/usr/bin/env bash
# Installs the packages of the given groups (scripts/packages.txt) that are missing; says which and asks once when a
# person is there. Does nothing, fast, when all are there. YES=1: no question. MIRROR=URL: packages from there.
source "$(dirname "$0")/lib.sh"

# The newest Boost whose headers and JSON library can both be had, 1.81 or later; an installed one wins.
boost_version() {
  local versions
  versions=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 'libboost-json1.*-dev' 2>/dev/null |
    sed -n 's/^libboost-json\(1\.[0-9]*\)-dev installed$/\1/p')
  [ -n "$versions" ] || versions=$(apt-cache search --names-only '^libboost-json1\.[0-9]+-dev$' |
    sed -n 's/^libboost-json\(1\.[0-9]*\)-dev .*/\1/p')
  sort -V <<<"$versions" | awk -F. '$2 >= 81' | tail -n 1
}

wanted() {
  local group
  for group in "$@"; do
    awk -v g="$group" '$1 == g { print $2 }' scripts/packages.txt
  done | sort -u | sed "s/X\.YY/$(boost_version)/"
}

missing() {
  comm -23 <(wanted "$@" | sort) \
    <(dpkg-query -W -f '${Package} ${db:Status-Status}\n' | sed -n 's/ installed$//p' | sort -u)
}

# apt-get with the machine's own sources, or with MIRROR alone.
apt_get() {
  local options=(-qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0) codename
  if [ -n "${MIRROR:-}" ]; then
    codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
    list=$(mktemp --suffix=.list)
    printf 'deb %s %s main\ndeb %s %s-updates main\n' "$MIRROR" "$codename" "$MIRROR" "$codename" >"$list"
    trap 'rm -f "$list"' EXIT
    chmod 644 "$list"
    options+=(-o "Dir::Etc::SourceList=$list" -o Dir::Etc::SourceParts=-)
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get "${options[@]}" "$@" >&2
}

ask() {
  [ -z "${YES:-}" ] && [ -t 0 ] && [ -t 2 ] || return 0
  local answer
  read -r -p "Install them? [Y/n] " answer
  case "$answer" in [Nn]*) die "not installed: nothing was changed" ;; esac
}

[ -f /etc/debian_version ] || die "this knows Debian 12 and 13 and Ubuntu 24.04; elsewhere install what scripts/packages.txt names"
[ -z "$(missing "$@")" ] && exit 0
[ -n "$(boost_version)" ] || { say "looking for packages" && apt_get update; }
[ -n "$(boost_version)" ] || die "no Boost 1.81 or later in this machine's package sources (Debian 12 has 1.81, Ubuntu 24.04 has 1.83)"

mapfile -t packages < <(missing "$@")
[ ${#packages[@]} = 0 ] && exit 0
say "packages that are missing (scripts/packages.txt says what for)"
printf '  %s\n' "${packages[@]}" >&2
ask
apt_get update
apt_get install --no-install-recommends "${packages[@]}"
