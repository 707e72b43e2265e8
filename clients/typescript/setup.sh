#!/usr/bin/env bash
# Installs what package-lock.json pins in build/clients-typescript, from the registry that npm is set up for. Does
# nothing, fast, when it is there.
source "$(dirname "$0")/../../scripts/lib.sh"

from=clients/typescript to=build/clients-typescript
cmp -s "$from/package-lock.json" "$to/node_modules/.installed" && exit 0
command -v npm >/dev/null || die "the TypeScript client needs Node.js 18.17 or newer with npm"
say "packages of the TypeScript client"
mkdir -p "$to"
cp "$from/package.json" "$from/package-lock.json" "$from/.npmrc" "$to/"
(cd "$to" && npm ci --no-audit --no-fund >&2)
cp "$from/package-lock.json" "$to/node_modules/.installed" # npm ci begins by removing node_modules
