#!/usr/bin/env bash
# setup-npm.sh FOLDER: installs what FOLDER/package-lock.json pins in build/npm/, from the registry that npm is set up
# for. Does nothing, fast, when it is there.
source "$(dirname "$0")/lib.sh"

from=$1 to=build/npm/$(basename "$1")
cmp -s "$from/package-lock.json" "$to/node_modules/.installed" && exit 0
command -v npm >/dev/null || die "$from needs Node.js with npm"
say "npm's packages for $from"
mkdir -p "$to"
cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$to/"
(cd "$to" && npm ci --no-audit --no-fund >&2)
cp "$from/package-lock.json" "$to/node_modules/.installed" # npm ci begins by removing node_modules
