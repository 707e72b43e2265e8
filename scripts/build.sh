#!/usr/bin/env bash
# build.sh            make: installs what is missing, builds the release in build/bin
# build.sh --images   and makes the default images in /var/lib/lm-sandbox
# build.sh --serve    and serves until stopped
source "$(dirname "$0")/lib.sh"

case "${1:-}" in
  "") scripts/setup-build.sh build ;;
  --images | --serve) scripts/setup-build.sh build image ;;
  *) die "build.sh [--images | --serve]" ;;
esac
build release
case "${1:-}" in
  --images) make_images build/bin /var/lib/lm-sandbox ;;
  --serve) as_root build/bin/lm-sandbox serve ;;
  *) printf 'built: build/bin/lm-sandbox    next: make demo, or build/bin/lm-sandbox --help\n' ;;
esac
