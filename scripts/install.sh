#!/usr/bin/env bash
# install.sh install     the programs below $PREFIX, which must be built, their manual pages and completion for shells;
#                        AppArmor's profile and systemd's unit where the system uses these
# install.sh uninstall   removes exactly that, and nothing that was made since (/var/lib/lm-sandbox stays)
source "$(dirname "$0")/lib.sh"

# It goes into files of systemd and AppArmor, where other characters mean something.
[[ ${PREFIX:-/usr/local} =~ ^/[A-Za-z0-9_./+-]*$ ]] ||
  die "PREFIX=$PREFIX: has to begin with / and to be of letters, digits and _ . / + - alone"
prefix=${DESTDIR:-}${PREFIX:-/usr/local}
profiles=${DESTDIR:-}/etc/apparmor.d
units=${DESTDIR:-}/etc/systemd/system
programs=(lm-sandbox lm-sandbox-launcher lm-sandbox-guest lm-sandbox-archiver lm-sandbox-gate lm-sandbox-tool)
# Where each shell looks in any session. fish reads /usr/local/share only where XDG_DATA_DIRS names it.
declare -A completion=([bash]=$prefix/share/bash-completion/completions/lm-sandbox
                       [zsh]=$prefix/share/zsh/site-functions/_lm-sandbox
                       [fish]=${DESTDIR:-}/etc/fish/completions/lm-sandbox.fish)

# The unit, which is not enabled: `systemctl enable --now lm-sandbox` does that.
install_unit() {
  local file to version
  version=$(systemctl --version | awk 'NR == 1 { print int($2) }')
  for file in lm-sandbox.service older.conf; do
    to=$units/$file
    [ "$file" = lm-sandbox.service ] || to=$units/lm-sandbox.service.d/$file
    if [ "$file" = older.conf ] && [ "$version" -ge 254 ]; then
      as_root rm -f "$to"
      continue
    fi
    sed "s|/usr/local/bin|${PREFIX:-/usr/local}/bin|" "packaging/systemd/$file" | as_root install -D -m 644 /dev/stdin "$to"
  done
  reload_units
}

remove_unit() {
  [ -n "${DESTDIR:-}" ] || [ ! -d /run/systemd/system ] || as_root systemctl disable --now lm-sandbox || true
  as_root rm -f "$units/lm-sandbox.service" "$units/lm-sandbox.service.d/older.conf"
  [ ! -d "$units/lm-sandbox.service.d" ] || as_root rmdir --ignore-fail-on-non-empty "$units/lm-sandbox.service.d"
  reload_units
}

# Where systemd runs, and is not only installed.
reload_units() { [ -n "${DESTDIR:-}" ] || [ ! -d /run/systemd/system ] || as_root systemctl daemon-reload; }

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
      sed "s|/usr/{,local/}lib|${PREFIX:-/usr/local}/lib|" packaging/apparmor/lm-sandbox |
        as_root install -D -m 644 /dev/stdin "$profiles/lm-sandbox"
      [ -n "${DESTDIR:-}" ] || as_root apparmor_parser -r "$profiles/lm-sandbox"
    fi
    [ -z "$(command -v systemctl)" ] || install_unit
    printf 'installed: %s/bin/lm-sandbox\n' "$prefix"
    ;;
  uninstall)
    [ ! -e "$units/lm-sandbox.service" ] || remove_unit
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
