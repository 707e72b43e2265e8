#pragma once
// Setup: the one message from the launcher to a guest that is not yet PID 1 of anything: everything it needs to build
// its sandbox. A fixed-size struct; descriptors travel with it and are named by their index.
//
// The guest trusts it: it was written before the channel's other end left the launcher.
#include <array>
#include <cstdint>

#include "guest_protocol/profile.h"

namespace lmsb::guest_protocol {

constexpr std::uint32_t kSetupMagic = 0x4C4D5342;  // "LMSB"
// Of setup, messages and the posture that a guest builds: the guest refuses another, and a later daemon does not take
// up a sandbox of another.
constexpr std::uint32_t kVersion = 11;
constexpr int kChannelFd = 3;  // where the guest finds its channel after exec
constexpr std::size_t kMaxMounts = 16;

// Which file system stands at /.
enum class RootKind : std::uint32_t {
  host_tree,  // a tmpfs that the guest fills: /usr of the machine, /etc made up, home and temporary directories
  mounted,    // an image with a writable layer on it: a detached mount made by the launcher (`root_fd`), or, on a disk
              // that is kept, an overlay that the guest mounts, so that it acts with the sandbox's own power there
};

// What a kept sandbox's disk is to its guest.
enum class Disk : std::uint32_t {
  none,      // what is written goes to memory
  fresh,     // `disk_fd`, empty
  existing,  // `disk_fd`, with what an earlier guest of this sandbox left there
  copied,    // `disk_fd`, with what the guest of another sandbox left there
};

struct SetupMount {
  std::int32_t fd;               // index of the detached mount among the message's descriptors
  std::uint32_t make_target;     // 1: the directory is made when it is missing
  std::uint32_t read_only;       // 1: Landlock grants no writing below it either
  std::array<char, 512> target;  // below /, no leading slash, NUL-terminated
};

struct Setup {
  std::uint32_t magic = kSetupMagic;
  std::uint32_t version = kVersion;
  Profile profile = Profile::user;
  RootKind root = RootKind::host_tree;
  std::array<char, 64> hostname{};
  std::uint64_t root_bytes = 0;  // size of the host_tree tmpfs
  std::uint64_t root_inodes = 0;
  std::uint32_t processes = 0;     // RLIMIT_NPROC
  std::uint32_t keep_standby = 0;  // 1: always have a process ready to become the next command
  std::uint32_t cpu_count = 1;     // what /sys/devices/system/cpu says
  Disk disk = Disk::none;
  std::uint32_t has_way_out = 0;  // 1: a gate will serve its network (gate.h)
  std::uint32_t unused = 0;
  std::uint64_t shm_bytes = kUsualShmBytes;  // size of /dev/shm
  // Indexes into the message's descriptors; -1 = absent.
  std::int32_t root_fd = -1;
  std::int32_t disk_fd = -1;       // detached tree: a directory that the sandbox's root owns
  std::int32_t lower_fd = -1;      // with a disk and RootKind::mounted: the image, read-only
  std::int32_t dev_fd = -1;        // detached read-only tree: nodes, links, empty pts and shm
  std::int32_t private_fd = -1;    // detached read-only tree of the launcher: empty file and directory, etc
  std::int32_t cgroup_fd = -1;     // detached clone of the sandbox's own cgroup v2 directory
  std::int32_t disk_lock_fd = -1;  // an empty file, locked: the guest keeps it for as long as it lives
  std::int32_t listener_fd = -1;   // listening SEQPACKET socket, non-blocking: where a later daemon's launcher comes
  std::int32_t filter_fd = -1;     // sealed memfd: the seccomp program (array of sock_filter)
  std::int32_t sudo_fd = -1;       // with Profile::root: detached read-only tree, for kSudoDirectory (sudo.h)
  // With devices of the machine: detached read-only tree of what they need, under numbers, and a sealed memfd, what
  // appears where (devices.h).
  std::int32_t device_files_fd = -1;
  std::int32_t device_records_fd = -1;
  std::uint32_t mount_count = 0;
  std::uint32_t unused_too = 0;
  std::array<SetupMount, kMaxMounts> mounts{};
};

// The steps of a launch, in order: names of failures, timings and failpoints.
enum class Step : std::uint32_t {
  receive_setup,
  unshare,
  session_keyring,
  proc,
  root,
  pivot,
  mounts,
  dev,
  masks,
  user_max,
  network,
  hostname,
  rlimits,
  users,
  landlock,
  capabilities,
  no_new_privs,
  seccomp,
  standby,
  ready,
  // of one command
  command_cgroup,
  command_fork,
  command_stdio,
  command_ids,
  command_cwd,
  command_limits,
  command_exec,
};

inline const char* to_string(Step step) {
  constexpr std::array kNames = {"receive-setup",  "unshare",        "session-keyring", "proc",
                                 "root",           "pivot",          "mounts",          "dev",
                                 "masks",          "user-max",       "network",         "hostname",
                                 "rlimits",        "users",          "landlock",        "capabilities",
                                 "no-new-privs",   "seccomp",        "standby",         "ready",
                                 "command-cgroup", "command-fork",   "command-stdio",   "command-ids",
                                 "command-cwd",    "command-limits", "command-exec"};
  const auto index = static_cast<std::size_t>(step);
  return index < kNames.size() ? kNames[index] : "unknown";
}
constexpr std::size_t kLaunchSteps = static_cast<std::size_t>(Step::ready) + 1;

}  // namespace lmsb::guest_protocol
