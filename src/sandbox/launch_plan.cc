#include "sandbox/launch_plan.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <fmt/format.h>

#include "base/rel_path.h"
#include "base/text.h"
#include "sandbox/device_table.h"
#include "sandbox/disk_id.h"
#include "sandbox/seccomp_table.h"

namespace lmsb::sandbox {
namespace {

using guest_protocol::RootKind;

constexpr std::uint64_t kMinInodes = 4096;

template <std::size_t N>
Status copy_text(std::array<char, N>& to, const std::string& from, const char* what) {
  if (from.size() >= N)
    return Error(ErrorCode::invalid_argument, fmt::format("{} is longer than {} bytes", what, N - 1));
  std::copy(from.begin(), from.end(), to.begin());
  return {};
}

template <std::size_t N>
bool is_terminated(const std::array<char, N>& text) {
  return std::memchr(text.data(), '\0', N) != nullptr;
}

// A directory's name in the image store (image/store.h); nothing that reads as more than one name anywhere.
bool is_image(std::string_view name) {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
  };
  return !name.empty() && std::string_view("._-").find(name[0]) == std::string_view::npos &&
         std::all_of(name.begin(), name.end(), fits);
}

// A path below / of one line: a plan is printed one fact a line.
bool is_target(std::string_view path) {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; };
  return RelPath::parse(path) && std::none_of(path.begin(), path.end(), is_control);
}

// A target that would hide what the sandbox itself stands on is refused.
bool is_reserved(const std::string& target) {
  static constexpr std::array kReserved = {"dev", "proc", "sys", "run", "usr", "etc", "bin", "lib", "lib64", "sbin"};
  return std::any_of(kReserved.begin(), kReserved.end(), [&](const std::string_view reserved) {
    return target == reserved || (target.starts_with(reserved) && target[reserved.size()] == '/');
  });
}

Result<std::string> mount_target(const std::string& target) {
  std::string below = target.starts_with('/') ? target.substr(1) : std::string();
  while (below.ends_with('/')) below.pop_back();
  if (!is_target(below) || is_reserved(below))
    return Error(ErrorCode::invalid_argument,
                 "mount target " + quoted(target) +
                     " must be an absolute path inside, outside /usr, /etc, /proc, /dev, /sys")
        .with_slug("invalid_mount_target");
  return below;
}

Result<PlanMount> plan_mount(const MountSpec& spec) {
  PlanMount mount;
  LMSB_TRY(const std::string target, mount_target(spec.target));
  LMSB_CHECK(copy_text(mount.target, target, "mount target"));
  mount.read_only = spec.read_only ? 1 : 0;
  mount.token = spec.token;
  if (!spec.volume.empty()) LMSB_CHECK(copy_text(mount.volume, spec.volume, "id of a volume"));
  return mount;
}

bool is_within(const std::string& path, const std::string& directory) { return path.starts_with(directory + '/'); }

// Directories may stand in each other, in the order in which they were named. In a volume nothing does: a sandbox that
// has it too could take away what it stands on.
bool are_in_each_others_way(const PlanMount& a, const PlanMount& b) {
  const std::string one = a.target.data();
  const std::string other = b.target.data();
  const bool is_of_volumes = a.volume[0] != '\0' || b.volume[0] != '\0';
  return one == other || (is_of_volumes && (is_within(one, other) || is_within(other, one)));
}

// Of a mount among those before it.
Status check_place(const LaunchPlan& p, std::uint32_t number) {
  const PlanMount& mount = p.mounts[number];
  for (std::uint32_t i = 0; i < number; ++i)
    if (are_in_each_others_way(p.mounts[i], mount))
      return Error(ErrorCode::invalid_argument, "mount target " + quoted("/" + std::string(mount.target.data())) +
                                                    " is there twice, or within another, and one is a volume")
          .with_slug("invalid_mount_target");
  return {};
}

std::string mount_line(const PlanMount& mount, guest_protocol::Profile profile) {
  const char* access = mount.read_only != 0 ? "read-only" : "read-write";
  if (mount.volume[0] != '\0')
    return fmt::format("mount /{} {},nosuid,nodev (volume {}, ids mapped)", mount.target.data(), access,
                       mount.volume.data());
  return fmt::format("mount /{0} {1},nosuid,nodev (of its caller -> {2}:{2})", mount.target.data(), access,
                     guest_protocol::command_id(profile));
}

Status check_devices(const LaunchPlan& p) {
  if (p.device_count > kMaxPlanDevices) return out_of_bounds("the number of devices", "at most 16");
  for (std::uint32_t i = 0; i < p.device_count; ++i) {
    const auto before = p.devices.begin() + i;
    if (p.devices[i] >= kMaxTableDevices || std::find(p.devices.begin(), before, p.devices[i]) != before)
      return Error(ErrorCode::invalid_argument, "launch plan: a device that cannot be, or is there twice");
  }
  return {};
}

Status check_limits(const LaunchPlan& p) {
  LMSB_CHECK(check_bounds({Bytes(p.memory_bytes), p.cpu_millis, p.processes, Bytes(p.disk_bytes), Bytes(p.shm_bytes)}));
  if (p.root_bytes > p.disk_bytes || p.root_bytes > p.memory_bytes)
    return out_of_bounds("the writable layer", "within disk and memory");
  // 0 would be a tmpfs without any limit.
  if (p.root_bytes == 0 || p.root_inodes < kMinInodes || p.root_inodes > std::max(p.root_bytes / 4096, kMinInodes))
    return out_of_bounds("the writable layer", "at least a byte, and have an inode for each 4 KiB");
  return {};
}

}  // namespace

WritableLayer writable_layer(std::uint64_t disk_bytes, std::uint64_t memory_bytes) {
  const std::uint64_t bytes = std::min(disk_bytes, memory_bytes / 2);
  return {bytes, std::max(bytes / 4096, kMinInodes)};
}

Result<LaunchPlan> plan(const SandboxSpec& spec) {
  LaunchPlan p;
  p.lifetime = spec.lifetime;
  p.disk = spec.disk;
  p.profile = spec.profile;
  p.root = spec.image == "host" ? RootKind::host_tree : RootKind::mounted;
  LMSB_CHECK(copy_text(p.id, spec.id.str(), "sandbox id"));
  if (p.root == RootKind::mounted) LMSB_CHECK(copy_text(p.image, spec.image, "image name"));
  p.memory_bytes = spec.limits.memory.count();
  p.disk_bytes = spec.limits.disk.count();
  const WritableLayer layer = writable_layer(p.disk_bytes, p.memory_bytes);
  p.root_bytes = layer.bytes;
  p.root_inodes = layer.inodes;
  p.shm_bytes = spec.limits.shm.count();
  p.cpu_millis = spec.limits.cpu_millis;
  p.processes = spec.limits.processes;
  p.has_way_out = spec.has_way_out ? 1 : 0;
  if (spec.mounts.size() > kMaxPlanMounts) return out_of_bounds("the number of mounts", "at most 8");
  for (const MountSpec& mount : spec.mounts) {
    LMSB_TRY(p.mounts[p.mount_count], plan_mount(mount));
    ++p.mount_count;
  }
  if (spec.devices.size() > kMaxPlanDevices) return out_of_bounds("the number of devices", "at most 16");
  p.device_count = static_cast<std::uint32_t>(spec.devices.size());
  std::copy(spec.devices.begin(), spec.devices.end(), p.devices.begin());
  LMSB_CHECK(validate(p));
  return p;
}

Status validate(const LaunchPlan& p) {
  const auto bad = [](const std::string& what) { return Error(ErrorCode::invalid_argument, "launch plan: " + what); };
  if (p.version != kPlanVersion) return bad("unknown version");
  if (p.profile > guest_protocol::Profile::root) return bad("unknown profile");
  if (p.root > RootKind::mounted) return bad("unknown kind of root");
  if (p.lifetime > Lifetime::kept) return bad("unknown lifetime");
  if (p.disk > guest_protocol::Disk::copied) return bad("unknown kind of disk");
  if (p.disk != guest_protocol::Disk::none && p.lifetime != Lifetime::kept)
    return bad("only a kept sandbox has a disk");
  if (!is_terminated(p.id) || !SandboxId::parse(p.id.data())) return bad("malformed id");
  if (!is_terminated(p.image)) return bad("malformed image name");
  if (p.root == RootKind::mounted && !is_image(p.image.data())) return bad("malformed image name");
  if (p.has_way_out > 1) return bad("unknown network");
  if (p.mount_count > kMaxPlanMounts) return bad("too many mounts");
  for (std::uint32_t i = 0; i < p.mount_count; ++i) {
    const PlanMount& mount = p.mounts[i];
    if (!is_terminated(mount.target) || !is_target(mount.target.data()) || is_reserved(mount.target.data()))
      return bad("malformed mount target");
    if (!is_terminated(mount.volume) || (mount.volume[0] != '\0' && !is_volume_id(mount.volume.data())))
      return bad("malformed id of a volume");
    LMSB_CHECK(check_place(p, i));
  }
  LMSB_CHECK(check_devices(p));
  return check_limits(p);
}

bool has_directories(const LaunchPlan& p) {
  const auto end = p.mounts.begin() + std::min<std::size_t>(p.mount_count, kMaxPlanMounts);
  return std::any_of(p.mounts.begin(), end, [](const PlanMount& mount) { return mount.volume[0] == '\0'; });
}

SetIdFiles set_id_files(const LaunchPlan& p) {
  const bool is_harmless = p.profile == guest_protocol::Profile::root && !has_directories(p);
  return is_harmless ? SetIdFiles::allowed : SetIdFiles::refused;
}

std::string to_text(const LaunchPlan& p) {
  using namespace guest_protocol;
  std::string t;
  const auto line = [&t](const std::string& text) { t += text + '\n'; };
  const bool has_root = p.profile == Profile::root;
  line(has_root ? "profile root" : "profile user");
  line(fmt::format("lifetime {}", p.lifetime == Lifetime::kept ? "kept" : "one-shot"));
  line(fmt::format("ids 0..{0} -> a leased range; commands run as {1}:{1}", kIdRangeSize - 1, command_id(p.profile)));
  if (has_root)
    line(fmt::format("user namespace of commands within, ids 0..{}; the guest is {} outside of it", kInnerIds - 1,
                     kOuterGuestId));
  line(fmt::format("cgroup memory.max {} swap 0", p.memory_bytes));
  line(fmt::format("cgroup cpu.max {} 100000", std::uint64_t{p.cpu_millis} * 100));
  line(fmt::format("cgroup pids.max {}", p.processes));
  line("namespaces user pid mnt net ipc uts cgroup");
  line("keyring new session");
  if (p.disk != Disk::none)
    line(fmt::format("root on a disk of its own, at most {} bytes, nosuid,nodev,noatime; {}", p.disk_bytes,
                     p.root == RootKind::host_tree
                         ? std::string("made-up /etc, no file of the machine")
                         : fmt::format("overlay of image {} (ids mapped), mounted by the guest", p.image.data())));
  else
    line(p.root == RootKind::host_tree
             ? fmt::format("root tmpfs size={} inodes={} nosuid,nodev: made-up /etc, no file of the machine",
                           p.root_bytes, p.root_inodes)
             : fmt::format("root overlay of image {} (ids mapped) under tmpfs size={} inodes={} nosuid,nodev",
                           p.image.data(), p.root_bytes, p.root_inodes));
  if (p.root == RootKind::host_tree)
    line(fmt::format("mount /usr of the machine read-only,nosuid,nodev (root's id {}, others nobody's)",
                     has_root ? "the guest's" : "mapped"));
  for (std::uint32_t i = 0; i < p.mount_count; ++i) line(mount_line(p.mounts[i], p.profile));
  line("mount /run/lm-sandbox read-only,nosuid,nodev,noexec");
  if (has_root)
    line("mount /run/lm-sandbox/bin read-only,nosuid,nodev: sudo, which asks the guest for a command of root");
  line(fmt::format("mount /proc {}nosuid,nodev,noexec,hidepid=invisible", has_root ? "read-only," : ""));
  line("mount /dev read-only,nosuid,noexec");
  for (const DeviceNode& d : kDevices) line(fmt::format("device /dev/{} c {}:{}", d.name, d.major, d.minor));
  for (std::uint32_t i = 0; i < p.device_count; ++i)
    line(
        fmt::format("device of the machine, number {} of the launcher's table: its nodes in /dev, its files read-only,"
                    "nosuid,nodev, its links",
                    p.devices[i]));
  line("mount /dev/pts new instance nosuid,noexec");
  line(fmt::format("mount /dev/shm tmpfs size={} nosuid,nodev,noexec", p.shm_bytes));
  for (const UserMax& u : kUserMax) line(fmt::format("limit user.{} {}", u.name, u.value));
  for (const char* name : kShownProc) line(fmt::format("show /proc/{}", name));
  line("mask all else of /proc but processes");
  for (const char* name : kReadOnlyProc) line(fmt::format("read-only /proc/{}", name));
  line(fmt::format("mask /proc/{} with another", kBootId));
  line(p.has_way_out != 0 ? "network loopback; connections to the outside and questions for names end at a gate"
                          : "network none: loopback only");
  line(fmt::format("hostname {}", p.id.data()));
  for (const ResourceLimit& r : kResourceLimits) line(fmt::format("rlimit {} {} {}", r.name, r.soft, r.hard));
  line(fmt::format("rlimit nproc {0} {0}", p.processes));
  line(has_root ? "landlock read and write /; no device nodes"
                : "landlock read /, write /workspace /tmp /home /var/tmp /dev/shm and read-write mounts");
  line(has_root ? "capabilities guest CHOWN KILL SETGID SETUID, bounding none; commands, permitted and bounding, in "
                  "their user namespace CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETGID SETUID "
                  "SYS_CHROOT; securebits locked"
                : "capabilities guest CHOWN KILL SETGID SETUID; commands none; bounding none; securebits locked");
  line("no_new_privs");
  const SeccompTables tables = seccomp_tables(p.profile, set_id_files(p));
  line(fmt::format("seccomp allow-list of {} calls, {} argument rules; commands without clone3{}", tables.calls.size(),
                   tables.arguments.size(), has_root ? " and setns" : ""));
  if (has_root)
    line(set_id_files(p) == SetIdFiles::allowed ? "setuid and setgid files can be made: without effect"
                                                : "setuid and setgid files cannot be made");
  return t;
}

}  // namespace lmsb::sandbox
