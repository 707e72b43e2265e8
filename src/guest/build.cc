#include "guest/build.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>

#include "guest/devices.h"
#include "guest/files.h"
#include "guest/host_tree.h"
#include "guest/posture.h"
#include "guest/users.h"
#include "os/name_list.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

using guest_protocol::Disk;
using guest_protocol::RootKind;
using guest_protocol::Step;

constexpr long kProcSuperMagic = 0x9fa0;

// 0: when a packet was sent is told only to who does not want the packet, too, which is a setting of the socket, and
// the filter lets nobody make it. Before Linux 6.13 this is the machine's, and stands in no other network namespace.
constexpr const char* kPacketTimes = "sys/net/core/tstamp_allow_data";
// The network belongs to the guest's user namespace, in which root of the commands' has no capability.
constexpr const char* kFirstFreePort = "sys/net/ipv4/ip_unprivileged_port_start";

// Of a name at the top of /proc.
bool is_shown(const char* name) {
  if (name[0] >= '0' && name[0] <= '9') return true;  // a process
  for (const char* shown : guest_protocol::kShownProc)
    if (std::strcmp(shown, name) == 0) return true;
  return false;
}

std::uint64_t now_us() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * 1'000'000U + static_cast<std::uint64_t>(t.tv_nsec) / 1000U;
}

// One option of a file system that is being configured.
struct FsOption {
  const char* key;
  const char* value;
};

template <std::size_t N>
int set_options(int fs, const std::array<FsOption, N>& options) {
  for (const FsOption& option : options)
    if (sys::fsconfig(fs, sys::kFsconfigSetString, option.key, option.value, 0) < 0) return errno;
  return 0;
}

// Makes a detached mount of `type`. Returns the descriptor or -errno.
template <std::size_t N>
int make_mount(const char* type, const std::array<FsOption, N>& options, std::uint64_t attributes) {
  const UniqueFd fs(sys::fsopen(type, sys::kFsopenCloexec));
  if (!fs) return -errno;
  if (const int error = set_options(fs.get(), options); error != 0) return -error;
  if (sys::fsconfig(fs.get(), sys::kFsconfigCmdCreate, nullptr, nullptr, 0) < 0) return -errno;
  const int mount = sys::fsmount(fs.get(), sys::kFsmountCloexec, static_cast<unsigned>(attributes));
  return mount < 0 ? -errno : mount;
}

// Attaches a detached mount on the directory or file `path` below `root`, which must not lead through a link.
int attach(int mount, int root, const char* path) {
  const int opened = open_beneath(root, path, O_PATH);
  if (opened < 0) return -opened;
  const UniqueFd target(opened);
  const unsigned flags = sys::kMoveMountFEmptyPath | sys::kMoveMountTEmptyPath;
  return sys::move_mount(mount, "", target.get(), "", flags) < 0 ? errno : 0;
}

// The descriptor of the present root directory; valid until somebody pivots.
int open_slash() { return ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC); }

}  // namespace

int Builder::fd(std::int32_t index) const {
  const auto i = static_cast<std::size_t>(index);
  return index >= 0 && i < fds_.count ? fds_.fds[i].get() : -1;
}

bool Builder::build() {
  struct Entry {
    Step step;
    int (Builder::*run)();
  };
  static constexpr std::array<Entry, 17> kSteps = {{{Step::unshare, &Builder::enter_namespaces},
                                                    {Step::session_keyring, &Builder::join_session_keyring},
                                                    {Step::proc, &Builder::open_proc},
                                                    {Step::root, &Builder::open_root},
                                                    {Step::pivot, &Builder::pivot},
                                                    {Step::mounts, &Builder::mount_all},
                                                    {Step::dev, &Builder::mount_dev},
                                                    {Step::masks, &Builder::mask_proc},
                                                    {Step::network, &Builder::make_network},
                                                    {Step::hostname, &Builder::set_hostname},
                                                    {Step::rlimits, &Builder::set_rlimits},
                                                    {Step::users, &Builder::make_users_namespace},
                                                    {Step::user_max, &Builder::write_user_max},
                                                    {Step::landlock, &Builder::make_landlock},
                                                    {Step::capabilities, &Builder::drop_capabilities},
                                                    {Step::no_new_privs, &Builder::set_no_new_privs},
                                                    {Step::seccomp, &Builder::install_filter}}};
  std::uint64_t before = now_us();
  for (const Entry& entry : kSteps) {
    const int error = (this->*entry.run)();
    const std::uint64_t after = now_us();
    step_us_[static_cast<std::size_t>(entry.step)] = static_cast<std::uint32_t>(after - before);
    before = after;
    if (error != 0) {
      failure_ = {entry.step, error};
      return false;
    }
  }
  return true;
}

int Builder::enter_namespaces() { return unshare_namespaces(); }

int Builder::join_session_keyring() { return leave_session_keyring(); }

// Before the pivot: a user namespace may mount proc only while it still sees an unmasked one.
int Builder::open_proc() {
  constexpr std::array<FsOption, 1> kHide = {{{"hidepid", "invisible"}}};
  const int made = make_mount("proc", kHide, sys::kMountNosuid | sys::kMountNodev | sys::kMountNoexec);
  if (made < 0) return -made;
  proc_.reset(made);
  return 0;
}

int Builder::open_root() {
  if (setup_.disk != Disk::none) return open_disk_root();
  if (setup_.root == RootKind::mounted) {
    const auto index = static_cast<std::size_t>(setup_.root_fd);
    if (fd(setup_.root_fd) < 0) return EBADF;
    root_ = std::move(fds_.fds[index]);
    return 0;
  }
  std::array<char, 32> size{};
  std::array<char, 32> inodes{};
  std::snprintf(size.data(), size.size(), "%llu", static_cast<unsigned long long>(setup_.root_bytes));
  std::snprintf(inodes.data(), inodes.size(), "%llu", static_cast<unsigned long long>(setup_.root_inodes));
  const std::array<FsOption, 3> options = {{{"size", size.data()}, {"nr_inodes", inodes.data()}, {"mode", "755"}}};
  const int made = make_mount("tmpfs", options, sys::kMountNosuid | sys::kMountNodev);
  if (made < 0) return -made;
  root_.reset(made);
  return fill_host_tree(made, setup_);
}

// The disk stands in the launcher's tiny tree until the pivot, which lets it go: what is kept of it is the root alone.
int Builder::open_disk_root() {
  const UniqueFd old(open_slash());
  if (!old) return errno;
  if (const int error = attach(fd(setup_.disk_fd), old.get(), "work"); error != 0) return error;
  if (setup_.root == RootKind::mounted) {
    if (const int error = attach(fd(setup_.lower_fd), old.get(), "lower"); error != 0) return error;
    return mount_layers();
  }
  const bool is_fresh = setup_.disk == Disk::fresh;
  if (is_fresh && ::mkdirat(old.get(), "work/root", 0755) < 0) return errno;
  root_.reset(sys::open_tree(old.get(), "work/root", sys::kOpenTreeClone | O_CLOEXEC));
  if (!root_) return errno;
  return is_fresh ? fill_host_tree(root_.get(), setup_) : 0;
}

// Extended attributes of users mark what is gone: those of the machine's root are not for a user namespace to set.
int Builder::mount_layers() {
  for (const char* name : {"/work/upper", "/work/work"})
    if (::mkdir(name, 0755) < 0 && errno != EEXIST) return errno;
  constexpr std::array<FsOption, 5> kLayers = {{{"lowerdir", "/lower"},
                                                {"upperdir", "/work/upper"},
                                                {"workdir", "/work/work"},
                                                {"index", "off"},
                                                {"xino", "off"}}};
  const UniqueFd fs(sys::fsopen("overlay", sys::kFsopenCloexec));
  if (!fs) return errno;
  if (const int error = set_options(fs.get(), kLayers); error != 0) return error;
  if (sys::fsconfig(fs.get(), sys::kFsconfigSetFlag, "userxattr", nullptr, 0) < 0) return errno;
  if (sys::fsconfig(fs.get(), sys::kFsconfigCmdCreate, nullptr, nullptr, 0) < 0) return errno;
  constexpr std::uint64_t kAttributes = sys::kMountNosuid | sys::kMountNodev | sys::kMountNoatime;
  root_.reset(sys::fsmount(fs.get(), sys::kFsmountCloexec, static_cast<unsigned>(kAttributes)));
  if (!root_) return errno;
  // A layer that cannot be written to makes a read-only overlay, and no error.
  struct statvfs made {};
  if (::fstatvfs(root_.get(), &made) < 0) return errno;
  return (made.f_flag & ST_RDONLY) != 0 ? EROFS : 0;
}

// The new root is put on a directory of the launcher's tiny tree, becomes /, and the old tree is let go.
int Builder::pivot() {
  const UniqueFd old(open_slash());
  if (!old) return errno;
  if (const int error = attach(root_.get(), old.get(), "root"); error != 0) return error;
  if (::fchdir(root_.get()) < 0) return errno;
  if (sys::pivot_root(".", ".") < 0) return errno;
  if (::umount2(".", MNT_DETACH) < 0) return errno;
  if (::chdir("/") < 0) return errno;
  root_.reset(open_slash());
  return root_ ? 0 : errno;
}

int Builder::mount_all() {
  if (setup_.root == RootKind::mounted)
    for (const char* path : {"dev", "proc", "sys", "run/lm-sandbox", "tmp", "etc"})
      if (const int error = make_directories(root_.get(), path, 0755); error != 0) return error;
  for (std::uint32_t i = 0; i < setup_.mount_count; ++i) {
    const guest_protocol::SetupMount& m = setup_.mounts[i];
    if (m.make_target != 0)
      if (const int error = make_directories(root_.get(), m.target.data(), 0755); error != 0) return error;
    if (const int error = attach(fd(m.fd), root_.get(), m.target.data()); error != 0) return error;
  }
  if (const int error = attach(fd(setup_.private_fd), root_.get(), "run/lm-sandbox"); error != 0) return error;
  if (setup_.profile == guest_protocol::Profile::root)
    if (const int error = attach(fd(setup_.sudo_fd), root_.get(), "run/lm-sandbox/bin"); error != 0) return error;
  if (const int error = mount_devices(); error != 0) return error;
  if (const int error = write_identity(root_.get(), setup_); error != 0) return error;
  return attach(proc_.get(), root_.get(), "proc");
}

// The tree of what there is stands for that moment where commands later find an empty directory.
int Builder::mount_devices() {
  constexpr const char* kFiles = "run/lm-sandbox/void";
  if (setup_.device_records_fd < 0) return 0;
  if (const int error = attach(fd(setup_.device_files_fd), root_.get(), kFiles); error != 0) return error;
  if (const int error = place_devices(root_.get(), kFiles, fd(setup_.device_records_fd)); error != 0) return error;
  return ::umount2("/run/lm-sandbox/void", MNT_DETACH | UMOUNT_NOFOLLOW) < 0 ? errno : 0;
}

int Builder::mount_dev() {
  if (const int error = attach(fd(setup_.dev_fd), root_.get(), "dev"); error != 0) return error;
  constexpr std::array<FsOption, 4> kPts = {{{"ptmxmode", "0666"}, {"mode", "0620"}, {"gid", "5"}, {"max", "256"}}};
  const UniqueFd pts(make_mount("devpts", kPts, sys::kMountNosuid | sys::kMountNoexec));
  if (pts.get() < 0) return -pts.get();
  if (const int error = attach(pts.get(), root_.get(), "dev/pts"); error != 0) return error;
  std::array<char, 32> size{};
  std::snprintf(size.data(), size.size(), "%llu", static_cast<unsigned long long>(setup_.shm_bytes));
  const std::array<FsOption, 3> options = {{{"size", size.data()}, {"nr_inodes", "4096"}, {"mode", "1777"}}};
  const int made = make_mount("tmpfs", options, sys::kMountNosuid | sys::kMountNodev | sys::kMountNoexec);
  if (made < 0) return -made;
  const UniqueFd shm(made);
  return attach(shm.get(), root_.get(), "dev/shm");
}

int Builder::mask_name(const char* name) {
  struct stat target {};
  if (::fstatat(proc_.get(), name, &target, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 0 : errno;
  const char* source = S_ISDIR(target.st_mode) ? "run/lm-sandbox/void" : "run/lm-sandbox/empty";
  const UniqueFd mask(sys::open_tree(root_.get(), source, sys::kOpenTreeClone | O_CLOEXEC));
  if (!mask) return errno;
  return sys::move_mount(mask.get(), "", proc_.get(), name, sys::kMoveMountFEmptyPath) < 0 ? errno : 0;
}

// Masks come from the launcher's own empty file and directory, by descriptor, onto a procfs checked to be one.
int Builder::mask_proc() {
  struct statfs kind {};
  if (::fstatfs(proc_.get(), &kind) < 0) return errno;
  if (kind.f_type != kProcSuperMagic) return EINVAL;
  const int limits = open_beneath(proc_.get(), "sys/user", O_PATH | O_DIRECTORY);
  if (limits < 0) return -limits;
  user_limits_.reset(limits);
  if (setup_.profile == guest_protocol::Profile::root) {
    own_proc_.reset(sys::open_tree(proc_.get(), "", sys::kOpenTreeClone | AT_EMPTY_PATH | O_CLOEXEC));
    if (!own_proc_) return errno;
  }
  if (const int error = forbid_packet_times(); error != 0) return error;
  if (const int error = allow_low_ports(); error != 0) return error;
  const int names_fd = open_beneath(proc_.get(), ".", O_RDONLY | O_DIRECTORY);
  if (names_fd < 0) return -names_fd;
  const UniqueFd directory(names_fd);
  os::NameList names;
  if (const int error = names.load(directory.get()); error != 0) return error;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (is_shown(names[i])) continue;
    if (const int error = mask_name(names[i]); error != 0) return error;
  }
  for (const char* name : guest_protocol::kReadOnlyProc) {
    const UniqueFd tree(sys::open_tree(proc_.get(), name, sys::kOpenTreeClone | O_CLOEXEC));
    if (!tree) {
      if (errno == ENOENT) continue;
      return errno;
    }
    sys::MountAttr attr;
    attr.set = sys::kMountRdonly;
    if (sys::mount_setattr(tree.get(), "", AT_EMPTY_PATH, attr) < 0) return errno;
    if (sys::move_mount(tree.get(), "", proc_.get(), name, sys::kMoveMountFEmptyPath) < 0) return errno;
  }
  return cover_boot_id();
}

// What the machine keeps from a sandbox's root is reported, shown by inspect, and refused where the daemon is to.
int Builder::forbid_packet_times() {
  const int error = write_existing(proc_.get(), kPacketTimes, "0");
  if (error != 0 && error != ENOENT && error != EACCES && error != EPERM && error != EROFS) return error;
  using guest_protocol::PacketTimes;
  packet_times_ = error == 0 ? PacketTimes::forbidden : PacketTimes::refused;
  if (error == ENOENT) packet_times_ = PacketTimes::no_such_setting;
  return 0;
}

// Where the machine keeps this from a sandbox's root, ports below 1024 are nobody's.
int Builder::allow_low_ports() {
  if (setup_.profile != guest_protocol::Profile::root) return 0;
  const int error = write_existing(proc_.get(), kFirstFreePort, "0");
  return error == ENOENT || error == EACCES || error == EPERM || error == EROFS ? 0 : error;
}

// By a number of the sandbox's own: a file in its /dev/shm, which nobody has a name for once it is mounted.
int Builder::cover_boot_id() {
  constexpr const char* kFile = "dev/shm/boot_id";
  const int opened = open_beneath(proc_.get(), "sys/kernel/random/uuid", O_RDONLY);
  if (opened < 0) return -opened;
  const UniqueFd random(opened);
  std::array<char, 64> number{};
  const ssize_t size = ::read(random.get(), number.data(), number.size());
  if (size <= 0) return size < 0 ? errno : ENODATA;
  if (const int error = write_new_file(root_.get(), kFile, {number.data(), static_cast<std::size_t>(size)}, 0444);
      error != 0)
    return error;
  const UniqueFd boot_id(sys::open_tree(root_.get(), kFile, sys::kOpenTreeClone | O_CLOEXEC));
  if (!boot_id) return errno;
  sys::MountAttr attr;
  attr.set = sys::kMountRdonly;
  if (sys::mount_setattr(boot_id.get(), "", AT_EMPTY_PATH, attr) < 0) return errno;
  if (sys::move_mount(boot_id.get(), "", proc_.get(), guest_protocol::kBootId, sys::kMoveMountFEmptyPath) < 0)
    return errno;
  return ::unlinkat(root_.get(), kFile, 0) < 0 ? errno : 0;
}

// After the last mount: even a detached one counts as a mount namespace. Through the directory below the read-only one.
// The files of processes are their user's: root could change its oom score there, where Landlock lets it write
// everywhere.
int Builder::write_user_max() {
  if (const int error = write_user_limits(user_limits_.get()); error != 0) return error;
  if (setup_.profile != guest_protocol::Profile::root) return 0;
  sys::MountAttr attr;
  attr.set = sys::kMountRdonly;
  return sys::mount_setattr(proc_.get(), "", AT_EMPTY_PATH, attr) < 0 ? errno : 0;
}

// With a way out only where there is to be one: without, the kernel itself says that nothing is reachable.
int Builder::make_network() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return errno;
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) < 0) return errno;
  return setup_.has_way_out != 0 ? way_out_.open() : 0;
}

int Builder::set_hostname() {
  return ::sethostname(setup_.hostname.data(), ::strnlen(setup_.hostname.data(), setup_.hostname.size())) < 0 ? errno
                                                                                                              : 0;
}

// What the machine allows less of stays at less: only the launcher may raise it, and has tried.
int Builder::set_rlimits() {
  for (const guest_protocol::ResourceLimit& limit : guest_protocol::kResourceLimits)
    if (const int error = limit_resource(limit.resource, limit.soft, limit.hard); error != 0) return error;
  return limit_resource(RLIMIT_NPROC, setup_.processes, setup_.processes);
}

// After the resource limits: those that are counted by user hold then for all ids of the namespace together, so that
// root, who may become any of them, gains nothing by it.
int Builder::make_users_namespace() {
  if (setup_.profile != guest_protocol::Profile::root) return 0;
  return make_users(proc_.get(), user_limits_.get(), users_);
}

int Builder::make_landlock() {
  const int ruleset = make_landlock_ruleset(root_.get(), setup_, landlock_abi_);
  if (ruleset == -ENOSYS || ruleset == -EOPNOTSUPP) return 0;  // reported as landlock_abi 0, shown by inspect
  if (ruleset < 0) return -ruleset;
  landlock_.reset(ruleset);
  return 0;
}

int Builder::drop_capabilities() { return become_guest(setup_.profile); }

int Builder::set_no_new_privs() { return no_new_privs(); }

int Builder::install_filter() { return netlink_door_.install_filter_from(fd(setup_.filter_fd)); }

}  // namespace lmsb::guest
