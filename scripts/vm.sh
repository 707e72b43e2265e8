#!/usr/bin/env bash
# The system tests where cgroup v2 is all there is: the programs of build/dev, in a virtual machine with the kernel that
# this Debian release ships, without a network. Runs after make test, which builds them and makes the images.
#
#   vm.sh            all of them
#   vm.sh --fetch    what they need from elsewhere: packages, a kernel
#   vm.sh NAME...    only these: commands, posture, cli, hostile_daemon, escape, escape/NAME_OF_TEST, rootless/CLASS,CLASS.TEST,
#                    as_user/commands (as a normal user) ...
#   vm.sh bench      P3 of the bench (docs/benchmarks.md), where cgroup v2 is all there is; of the Debug build, after
#                    ninja -C build/dev bench-programs
#
# VM_KERNEL=newer boots the kernel of the next release of Debian, with that one's apparmor_parser: there AppArmor decides
# who may make user namespaces, and stored images are for normal users too.
#
# Where /dev/kvm cannot be used the processor is emulated, some ten times slower. Everything lies in build/vm: remove it
# for the newest kernel. VM_LIMIT=2400 seconds for all, VM_TEST_LIMIT=900 for one test.
source "$(dirname "$0")/lib.sh"

dir=$PWD/build/vm
closing='lm-sandbox-vm: exit status'  # the last line that the machine prints, before a number
newer_release=trixie  # Linux 6.12, AppArmor 4.1
programs=(hostile_daemon hostile_caller all_sandboxes delegation spawn failing_calls)  # tests that are programs: build/dev/tests/NAME_test

# ---- Inside: from here to the next such line everything runs in the machine, as its process 1.

# The mounts that systemd makes, with its options: nsdelegate decides what a sandbox's guest may do to its own cgroup.
mount_all() {
  mount -t proc -o nosuid,nodev,noexec proc /proc
  mount -t sysfs -o nosuid,nodev,noexec sys /sys
  mount -t securityfs -o nosuid,nodev,noexec securityfs /sys/kernel/security
  mount -t cgroup2 -o nosuid,nodev,noexec,nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
  mount -t tmpfs -o nosuid,nodev,mode=755 run /run
  mkdir -p /dev/pts /dev/shm
  mount -t devpts -o nosuid,noexec,gid=5,mode=620,ptmxmode=666 pts /dev/pts
  mount -t tmpfs -o nosuid,nodev shm /dev/shm
  mount --make-rshared /
}

# The parser is of a newer release than the system here, and has that one's C library beside it.
set_up_apparmor() {
  cp -r apparmor/{etc,usr} /
  printf '#!/bin/sh\nexec %q --library-path %q %q "$@"\n' "$PWD"/apparmor/{lib/ld-linux-x86-64.so.2,lib,apparmor_parser} \
    >/usr/sbin/apparmor_parser
  chmod 755 /usr/sbin/apparmor_parser
}

set_up_machine() {
  mount_all
  busybox ip link set lo up
  cp --no-clobber lib/* "/usr/lib/$(uname -m)-linux-gnu/"  # what the image has stays
  cp sbin/mkfs.btrfs /usr/sbin/
  install -m 4755 sbin/new[ug]idmap /usr/bin/
  [ ! -d apparmor ] || set_up_apparmor
  busybox modprobe loop  # the store of sandboxes' disks; systemd makes its control node for it
  ldconfig
  ulimit -n 524288  # what systemd allows; the kernel alone gives 4096
  ulimit -Sn 1024
}

all_tests() {
  local path
  for path in tests/system/test_*.py; do
    path=${path#tests/system/test_}
    echo "${path%.py}"
  done
  printf '%s\n' as_user/{commands,files,processes,posture,escape} escape cli "${programs[@]}"
}

run_test() {
  local python=(python3 -W ignore::ResourceWarning)
  case $1 in
    cli) set -- "${python[@]}" tests/cli/test_cli.py ;;
    escape) set -- "${python[@]}" -B tests/escape/test_escape.py Escape ;;
    escape/*) set -- "${python[@]}" -B tests/escape/test_escape.py "Escape.${1#escape/}" ;;
    rootless/*)
      local tests
      IFS=, read -ra tests <<<"${1#rootless/}"
      set -- "${python[@]}" -B tests/system/test_rootless.py "${tests[@]}"
      ;;
    as_user/escape) set -- "${python[@]}" -B tests/support/as_user.py tests/escape/test_escape.py ;;
    as_user/*) set -- "${python[@]}" -B tests/support/as_user.py "tests/system/test_${1#as_user/}.py" ;;
    bench) set -- "${python[@]}" bench/run.py --build build/dev --only P3 --rounds 3 --seconds 10 --name vm ;;
    *)
      if [[ " ${programs[*]} " == *" $1 "* ]]; then
        set -- "build/dev/tests/$1_test"
      else
        set -- "${python[@]}" "tests/system/test_$1.py"
      fi
      ;;
  esac
  LMSB_VM=1 LMSB_BIN=$PWD/build/dev/bin timeout --kill-after=10 "$VM_TEST_LIMIT" "$@"
}

run_tests() {
  local name start code verdict results=() failed=0
  for name in ${VM_TESTS:-$(all_tests)}; do
    say "$name" 2>&1
    start=$SECONDS code=0
    run_test "$name" 2>&1 || code=$?
    case $code in 0) verdict=ok ;; 77) verdict=skipped ;; 124) verdict='too slow' ;; *) verdict=FAILED ;; esac
    case $code in 0 | 77) ;; *) failed=1 ;; esac
    results+=("$(printf '%-16s %-9s %5d s' "${name%%,*}" "$verdict" $((SECONDS - start)))")
  done
  printf '\nIn the virtual machine, Linux %s, cgroup v2 alone:\n' "$(uname -r)"
  printf '%s\n' "${results[@]}"
  return $failed
}

# shellcheck disable=SC2317  # called by the trap
switch_off() {  # switch_off STATUS
  printf '\n%s %s\n' "$closing" "$1"
  sleep 1  # until the serial line has taken it
  exec busybox poweroff -f
}

if [ $$ = 1 ]; then
  trap 'switch_off $?' EXIT
  set_up_machine
  run_tests
  exit
fi

# ---- Outside.

this_release() { . /etc/os-release && echo "$VERSION_CODENAME"; }

mirror_of_machine() {  # mirror_of_machine OPTIONS OF APT...: where this machine's apt has this release from
  apt-get "$@" update >&2
  # shellcheck disable=SC2016  # the fields are apt's
  apt-get "$@" indextargets --format '$(RELEASE) $(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
    awk -v release="$(this_release)" '$1 == release && $2 == "main" { print $3; exit }'
}

# fetch_packages DIRECTORY RELEASE PACKAGE...: the kernel of that release, and these. Unpacked, not installed, and apt's
# lists and files are its own: nothing of the machine that this runs on changes.
fetch_packages() {
  local target=$dir/$1 release=$2 work=$dir/apt mirror=${MIRROR:-} package
  local apt=(-qq -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)")
  shift 2
  [ ! -d "$target" ] || return 0
  say "fetching the kernel of $release for the virtual machine"
  rm -rf "$work"
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/root"
  if [ "$release" != "$(this_release)" ]; then
    mirror=${mirror:-$(mirror_of_machine "${apt[@]}")}
    [ -n "$mirror" ] || die "where $release is to be had is not known: give MIRROR=URL, of Debian packages"
  fi
  if [ -n "$mirror" ]; then
    printf 'deb %s %s main\n' "$mirror" "$release" >"$work/sources.list"
    apt+=(-o Dir::Etc::SourceList="$work/sources.list" -o Dir::Etc::SourceParts=-)
  fi
  apt-get "${apt[@]}" update >&2 || die "no packages of Debian $release from ${mirror:-where apt has its own}"
  package=$(apt-cache "${apt[@]}" depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)/\1/p') || true
  [ -n "$package" ] || die "no kernel (linux-image-cloud-amd64) of Debian $release from ${mirror:-where apt has its own}"
  (cd "$work" && apt-get "${apt[@]}" download "$package" "$@" >&2)
  for package in "$work"/*.deb; do dpkg-deb -x "$package" "$work/root"; done
  touch "$work/root"  # fetched now, whatever time its package gives it: is_system_disk_new
  mv "$work/root" "$target"
  rm -rf "$work"
}

# The first program of the machine. No initramfs is needed: NVMe and ext4 are no modules in these kernels. There is one
# disk of that kind only, as Linux 6.12 numbers them as they come.
first_program() {
  cat <<'INIT'
#!/bin/sh
mount -t devtmpfs -o nosuid dev /dev
exec </dev/console >/dev/console 2>&1
mkdir -p "$VM_PROJECT"
for module in virtio_pci virtio_blk; do
  modprobe $module
done
mount /dev/vda "$VM_PROJECT"
exec "$VM_PROJECT/scripts/vm.sh"
INIT
}

# Images are stored with their ids moved out of the machine's own: back to 0 and up.
move_ids() {
  python3 - "$1" <<'PYTHON'
import os, stat, sys
top = sys.argv[1]
base = os.lstat(top).st_uid
for path in [top] + [os.path.join(d, name) for d, names, files in os.walk(top) for name in names + files]:
    info = os.lstat(path)
    if info.st_uid < base:
        continue  # another name of a file that has been moved
    os.lchown(path, info.st_uid - base, info.st_gid - base)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(path, stat.S_IMODE(info.st_mode))  # chown takes setuid away
PYTHON
}

# As on every Debian machine the kernel fetches its own modules: overlay, and tcp_diag, by which the daemon learns who
# is at the other end of a connection.
add_kernel_modules() {
  cp "$dir/packages/bin/busybox" "$1/usr/bin/busybox"
  ln -s ../bin/busybox "$1/usr/sbin/modprobe"
  local modules
  for modules in "$dir"/{packages,newer}/{,usr/}lib/modules/*; do
    [ -d "$modules" ] || continue
    mkdir -p "$1/usr/lib/modules"
    cp -r "$modules" "$1/usr/lib/modules/"
    chroot "$1" /usr/bin/busybox depmod "${modules##*/}"
  done
}

# The machine's system is image base, with both images in it for the tests. As root, for their owners.
make_system_disk() {
  local images=$LMSB_TEST_DATA/images root name
  root=$(mktemp -d "$dir/root.XXXXXX")
  # shellcheck disable=SC2064  # the directory of now
  trap "rm -rf --one-file-system '$root'" EXIT
  cp -a "$images/base/rootfs/." "$root"
  move_ids "$root"
  mkdir -p "$root/var/cache/lm-sandbox-test/images"
  for name in base llama; do
    cp -al "$images/$name" "$root/var/cache/lm-sandbox-test/images/" 2>/dev/null ||
      cp -a "$images/$name" "$root/var/cache/lm-sandbox-test/images/"
  done
  add_kernel_modules "$root"
  first_program >"$root/init"
  chmod 755 "$root/init"
  make_disk "$root" "$dir/system.ext4" 8G
  chown --reference="$dir" "$dir/system.ext4"
}

make_disk() {  # make_disk DIRECTORY FILE SIZE
  rm -f "$2"
  mke2fs -q -t ext4 -O ^has_journal -E root_owner=0:0 -d "$1" "$2.new" "$3" >/dev/null
  mv "$2.new" "$2"
}

# Unchanged since it was made: what it is made of, the kernels' modules among it, and this script.
is_system_disk_new() {
  local part
  for part in "$LMSB_TEST_DATA"/images/{base,llama}/image.json "$dir/$kernel" scripts/vm.sh; do
    [ "$dir/system.ext4" -nt "$part" ] || return 1
  done
}

libraries() {  # ldd fails for those that are static
  { ldd build/dev/bin/* build/dev/weakened/* build/dev/bench/bench-* build/dev/tests/*_test /usr/sbin/mkfs.btrfs /usr/bin/newuidmap 2>/dev/null || true; } |
    awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u
}

add_apparmor() {  # add_apparmor DIRECTORY
  local etc=$dir/newer/etc usr=$dir/newer/usr lib=$dir/newer/usr/lib/x86_64-linux-gnu
  mkdir -p "$1/lib" "$1/etc/apparmor.d" "$1/usr/share"
  cp "$lib"/{ld-linux-x86-64.so.2,libc.so.6} "$1/lib/"
  cp "$usr/sbin/apparmor_parser" "$1/"
  cp -r "$usr/share/apparmor-features" "$1/usr/share/"
  cp -r "$etc/apparmor" "$1/etc/"
  cp -r "$etc/apparmor.d/"{abi,tunables} "$1/etc/apparmor.d/"
}

# The part of this tree that the tests need, at the same path in the machine: the test programs know their own.
make_project_disk() {
  local tree=$dir/project
  rm -rf "$tree"
  mkdir -p "$tree/lib" "$tree/sbin"
  cp /usr/sbin/mkfs.btrfs "$tree/sbin/"
  cp /usr/bin/new[ug]idmap "$tree/sbin/"
  cp -a --parents build/dev/bin build/dev/weakened build/dev/tests/*_test api bench packaging scripts src tests "$tree"
  [ "$kernel" != newer ] || add_apparmor "$tree/apparmor"
  [ ! -x build/dev/bench/bench-load ] || cp -a --parents build/dev/bench/bench-* "$tree"
  libraries | xargs cp -t "$tree/lib"
  make_disk "$tree" "$dir/project.ext4" 2G
  rm -rf "$tree"
}

# Whether the kernel starts on this processor: /dev/kvm can be there and be of no use, in a virtual machine above all.
kvm_works() {
  [ -w /dev/kvm ] || return 1
  grep -q 'Linux version' < <(timeout 15 qemu-system-x86_64 -machine q35 -accel kvm -cpu host -m 512 -nodefaults \
    -no-user-config -display none -nic none -no-reboot -serial stdio -kernel "$dir/$kernel"/boot/vmlinuz-* \
    -append 'console=ttyS0 panic=-1' </dev/null 2>/dev/null)
}

# Writes go to files of qemu's own that vanish with it. timeout passes a signal on to qemu, which ends with it.
boot() {
  local processor=(-accel "tcg,thread=multi" -cpu max) mix=140 disk arguments=()
  [ -z "$has_kvm" ] || processor=(-accel kvm -cpu host) mix=700
  for disk in system project; do
    arguments+=(-drive "if=none,id=$disk,file=$dir/$disk.ext4,format=raw,cache=unsafe,snapshot=on")
  done
  arguments+=(-device "nvme,serial=system,drive=system" -device "virtio-blk-pci,drive=project")
  TMPDIR=$dir exec timeout --kill-after=10 "$limit" nice -n 10 qemu-system-x86_64 \
    -machine q35 "${processor[@]}" -smp 2 -m 4G -nodefaults -no-user-config -display none -nic none -no-reboot \
    -serial stdio "${arguments[@]}" -kernel "$dir/$kernel"/boot/vmlinuz-* \
    -append "console=ttyS0 loglevel=1 panic=-1 mitigations=off root=/dev/nvme0n1 rw rootflags=noinit_itable init=/init \
\"VM_PROJECT=$PWD\" VM_TEST_LIMIT=${VM_TEST_LIMIT:-900} LMSB_MIX=${LMSB_MIX:-$mix} LMSB_MANY=${LMSB_MANY:-50} \"VM_TESTS=$*\""
}

[ "${1:-}" != --system-disk ] || { make_system_disk && exit; }

if [ "$(. /etc/os-release && echo "$ID $(uname -m)")" != 'debian x86_64' ]; then
  printf "skipped: only Debian's kernel for x86-64 is known here\n" >&2
  [ "${1:-}" = --fetch ] && exit
  exit 77
fi
scripts/setup-build.sh vm
mkdir -p "$dir"
case ${VM_KERNEL:-} in '') kernel=packages ;; newer) kernel=newer ;; *) die "VM_KERNEL=newer is all that it can be" ;; esac
fetch_packages packages "$(this_release)" busybox-static
[ $kernel = packages ] || fetch_packages newer $newer_release apparmor libc6
[ "${1:-}" != --fetch ] || exit 0
[ -x build/dev/bin/lm-sandbox ] || die "nothing is built: make test"
is_system_disk_new || { say "making the machine's disk" && as_root "$PWD/scripts/vm.sh" --system-disk; }
make_project_disk

limit=${VM_LIMIT:-2400} log=$dir/console
: >"$log"
has_kvm=
! kvm_works || has_kvm=yes
say "starting the virtual machine, its processor ${has_kvm:+not }emulated (build/vm/console keeps what it says)"
boot "$@" >"$log" 2>&1 </dev/null &
vm=$!
trap 'kill "$vm" 2>/dev/null || true' EXIT
tail --pid="$vm" -n +1 -f "$log" | sed -u 's,\r$,,'
wait "$vm" || printf 'qemu ended with %s\n' $? >&2
status=$(tr -d '\r' <"$log" | sed -n "s/^$closing //p")
[ -n "$status" ] || die "the virtual machine ended without a verdict (limit: $limit s)"
exit "$status"
