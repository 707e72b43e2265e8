#pragma once
// LaunchPlan: all that decides what a new sandbox is, as one fixed-size value. Made by plan() without any power,
// printed by to_text(), carried out by the launcher, which adds what no plan can leave out (ids, no_new_privs, the
// profile's capabilities and filter, the masks) and refuses what its own policy does not allow.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "guest_protocol/setup.h"
#include "sandbox/limits.h"
#include "sandbox/mount_token.h"
#include "sandbox/seccomp_table.h"

namespace lmsb::sandbox {

enum class Lifetime : std::uint32_t {
  one_shot,  // one command, then gone
  kept,      // until deleted
};

// What appears inside beside the image: a volume of the store, or a directory of the machine. Of the latter the plan
// only names what its caller handed to the launcher (mount_token.h); files in it belong to that caller outside and to
// the sandbox's user inside. A volume's files have the owners that sandboxes gave them.
struct MountSpec {
  std::string target;  // absolute, inside
  bool read_only = false;
  MountToken token;    // of a directory
  std::string volume;  // the id of one; "" = it is a directory
};

// What was asked, validated: values only.
struct SandboxSpec {
  SandboxId id = SandboxId::create();
  std::string image = "host";  // a name of the image store, or "host"
  Limits limits;
  Lifetime lifetime = Lifetime::one_shot;
  std::vector<MountSpec> mounts;
  guest_protocol::Disk disk = guest_protocol::Disk::none;  // of a kept one
  bool has_way_out = false;                                // a gate serves its network; else it has none
  guest_protocol::Profile profile = guest_protocol::Profile::user;
  std::vector<std::uint32_t> devices;  // places in the table of the machine's (device_table.h)
};

constexpr std::uint32_t kPlanVersion = 7;
constexpr std::size_t kMaxPlanDevices = 16;
constexpr std::size_t kMaxPlanMounts = 8;

// An id of what the store has (disk_id.h), or of what a listing of it begins with.
using DiskName = std::array<char, 32>;

struct PlanMount {
  std::uint32_t read_only = 0;
  MountToken token;
  DiskName volume{};               // empty: it is a directory
  std::array<char, 512> target{};  // below /, no leading slash
};

struct LaunchPlan {
  std::uint32_t version = kPlanVersion;
  guest_protocol::Profile profile = guest_protocol::Profile::user;
  guest_protocol::RootKind root = guest_protocol::RootKind::host_tree;
  Lifetime lifetime = Lifetime::one_shot;
  // `fresh` is made by the launcher, named by the id; where it has no store the disk is memory, and its answer says so.
  guest_protocol::Disk disk = guest_protocol::Disk::none;
  std::array<char, 24> id{};
  std::array<char, 128> image{};  // directory below the image root; empty for `host`
  std::uint64_t memory_bytes = 0;
  std::uint64_t disk_bytes = 0;  // what a file may grow to, and all of a disk that is kept
  std::uint64_t root_bytes = 0;  // size of a writable tmpfs: min(disk, memory / 2), so that full is ENOSPC
  std::uint64_t root_inodes = 0;
  std::uint64_t shm_bytes = 0;  // size of /dev/shm
  std::uint32_t cpu_millis = 0;
  std::uint32_t processes = 0;
  std::uint32_t mount_count = 0;
  std::uint32_t has_way_out = 0;  // 1: its connections end at a gate (guest_protocol/gate.h)
  std::uint32_t device_count = 0;
  std::array<std::uint32_t, kMaxPlanDevices> devices{};  // places in the launcher's table of the machine's
  std::array<PlanMount, kMaxPlanMounts> mounts{};
};

// The tmpfs that a sandbox writes to: min(disk, memory / 2) bytes, an inode for each 4 KiB of it, 4096 at least.
struct WritableLayer {
  std::uint64_t bytes;
  std::uint64_t inodes;
};
WritableLayer writable_layer(std::uint64_t disk_bytes, std::uint64_t memory_bytes);

// Pure. Fails when a value of the spec is out of bounds (the message names it), or with invalid_mount_target when two
// targets are the same, or one is within another and one of them is a volume's.
Result<LaunchPlan> plan(const SandboxSpec& spec);

// Whether the values of a plan are in bounds and well-formed, wherever it came from. The launcher asks before it acts.
Status validate(const LaunchPlan& plan);

// Whether it names directories of the machine.
bool has_directories(const LaunchPlan& plan);

// Which filter it gets. No plan says so: it follows from the profile and from what is mounted.
SetIdFiles set_id_files(const LaunchPlan& plan);

// The plan and everything that follows from its profile, one fact a line, in the order of the launch. Golden tests
// hold it; `run --dry-run` prints it.
std::string to_text(const LaunchPlan& plan);

}  // namespace lmsb::sandbox
