#!/usr/bin/env bash
# install.sh install     the programs below $PREFIX, which must be built, their manual pages and completion for shells;
#                        AppArmor's profile where the system uses it
# install.sh uninstall   removes exactly that, and nothing that was made since (/var/lib/lm-sandbox stays)
source "$(dirname "$0")/lib.sh"

prefix=${DESTDIR:-}${PREFIX:-/usr/local}
profiles=${DESTDIR:-}/etc/apparmor.d
programs=(lm-sandbox lm-sandbox-launcher lm-sandbox-guest lm-sandbox-archiver lm-sandbox-gate lm-sandbox-tool)
# Where each shell looks in any session. fish reads /usr/local/share only where XDG_DATA_DIRS names it.
declare -A completion=([bash]=$prefix/share/bash-completion/completions/lm-sandbox
                       [zsh]=$prefix/share/zsh/site-functions/_lm-sandbox
                       [fish]=${DESTDIR:-}/etc/fish/completions/lm-sandbox.fish)

case "${1:-}" in
  install)
    [ -x build/bin/lm-sandbox ] || die "nothing is built: make"
    as_root install -d "$prefix/lib/lm-sandbox" "$prefix/bin"
    # One folder: the programs look for each other beside themselves.
    as_root install -m 755 "${programs[@]/#/build/bin/}" "$prefix/lib/lm-sandbox/"
    as_root ln -sf ../lib/lm-sandbox/lm-sandbox "$prefix/bin/lm-sandbox"
    for shell in "${!completion[@]}"; do
      build/bin/lm-sandbox completion "$shell" |
        as_root install -D -m 644 /dev/stdin "${completion[$shell]}"
    done
    as_root install -d "$prefix"/share/man/man{1,5}
    as_root build/bin/lm-sandbox man --write "$prefix/share/man"
    if [ -e /proc/sys/kernel/apparmor_restrict_unprivileged_userns ]; then
      as_root install -D -m 644 packaging/apparmor/lm-sandbox "$profiles/lm-sandbox"
      [ -n "${DESTDIR:-}" ] || as_root apparmor_parser -r "$profiles/lm-sandbox"
    fi
    printf 'installed: %s/bin/lm-sandbox\n' "$prefix"
    ;;
  uninstall)
    if [ -e "$profiles/lm-sandbox" ]; then
      [ -n "${DESTDIR:-}" ] || as_root apparmor_parser -R "$profiles/lm-sandbox" || true
      as_root rm -f "$profiles/lm-sandbox"
    fi
    as_root rm -f "${completion[@]}" "$prefix"/share/man/man1/lm-sandbox{,-*}.1 \
      "$prefix/share/man/man5/lm-sandbox.toml.5"
    as_root rm -f "$prefix/bin/lm-sandbox" "${programs[@]/#/$prefix/lib/lm-sandbox/}"
    [ ! -d "$prefix/lib/lm-sandbox" ] || as_root rmdir "$prefix/lib/lm-sandbox"
    printf 'removed from %s; images, models and sandboxes stay in /var/lib/lm-sandbox, and those that run go on\n' "$prefix"
    ;;
  *) die "install.sh install | uninstall" ;;
esac
