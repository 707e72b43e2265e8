#pragma once
// Messages between the daemon and the launcher over one SEQPACKET socket: fixed-size structs, nothing else. The
// launcher validates every field; descriptors that come with a request are closed unseen.
#include <array>
#include <cstddef>
#include <cstdint>

#include "guest_protocol/archive.h"
#include "sandbox/launch_plan.h"

namespace lmsb::sandbox {

enum class LauncherOperation : std::uint32_t {
  launch = 1,   // LaunchRequest
  destroy = 2,  // DestroyRequest: kill everything, give everything back; answered when it is gone
  limit = 3,    // LimitRequest: other limits for a kept sandbox; EBUSY when it uses more memory than that
  remove_disk =
      4,          // DiskRequest: a snapshot, a volume, or the disk of a sandbox that does not run; EBUSY of one in use
  next_disk = 5,  // DiskRequest: the id of the first disk behind that one; "" in the answer: there is none
  settle_disk = 6,  // DiskRequest: the sandbox stands, and its guest needs no more room on a disk that may be full
  copy_disk = 7,    // CopyRequest: answered when the copy is whole
  sync_disks = 8,   // DiskRequest without an id: answered when what was written is on the disk
  claim_disk = 9,   // DiskRequest: what was made fresh, by a launch or a copy, stays; ENOENT: nothing fresh has that id
  sweep_disks = 10,   // DiskRequest without an id: what is fresh and belongs to no live sandbox goes
  weigh_disk = 11,    // DiskRequest: what it holds, in the answer's `serial`
  next_left = 12,     // DiskRequest: as next_disk, of sandboxes that run and that an earlier launcher has left
  take_up = 13,       // DiskRequest: one of those, answered as its launch would be; ENOENT: there is none of that id
  next_stray = 14,    // DiskRequest: as next_disk, of cgroups that belong to nothing that the launcher has
  make_volume = 15,   // VolumeRequest: an empty one, fresh as what a launch makes
  limit_volume = 16,  // VolumeRequest: what it may hold from now on; what it holds already stays
  open_network = 17,  // DiskRequest: a kept sandbox that runs; answered with one descriptor: what has gone through its
                      // network interfaces, as in /proc/net/dev. As long as it is open the network stays: not for long
  archive_disk = 18,  // ArchiveRequest: starts a process that reads or writes a snapshot as a stream; `destroy` ends it
  open_gate = 19,     // GateRequest: starts a process that serves a sandbox's network; answered with its channel
  check_store = 20,  // DiskRequest without an id; EROFS: nothing can be written to the disks any more; ENODEV: no store
};

struct LauncherHeader {
  LauncherOperation operation;
  std::uint32_t request;  // chosen by the daemon; the answer carries it
};

struct LaunchRequest {
  LauncherHeader header;
  LaunchPlan plan;
};

struct DestroyRequest {
  LauncherHeader header;
  std::uint64_t serial;          // of the launch answer
  std::uint32_t keeps_disk = 0;  // 1: it stays, for a later launch with Disk::existing
  std::uint32_t unused = 0;
};

// For listing also "", or the prefix of snapshots or volumes alone, before the first of each.
struct DiskRequest {
  LauncherHeader header;
  DiskName id{};
};

// Copies and syncs at a time; more are answered with EAGAIN.
constexpr std::size_t kMaxDiskJobs = 4;

struct CopyRequest {
  LauncherHeader header;
  DiskName from{};
  DiskName to{};               // nothing is there yet, or, with replaces, a disk that nobody uses
  std::uint32_t replaces = 0;  // 1: in its place
  std::uint32_t unused = 0;
};

struct VolumeRequest {
  LauncherHeader header;
  DiskName id{};
  std::uint64_t bytes = 0;  // above the cap of a disk: cut down to that
};

// Archivers at a time; more are answered with EAGAIN.
constexpr std::size_t kMaxArchivers = 4;
constexpr std::uint64_t kMaxArchiverMemory = 512ULL << 20U;  // of each
constexpr std::uint32_t kArchiverCpuMillis = 1000;

// Answered as soon as it runs, with its channel and the other end of its stream. What comes in is fresh, as a launch's
// disk is, and destroying its archiver keeps it or not.
struct ArchiveRequest {
  LauncherHeader header;
  DiskName job{};   // an id like a sandbox's, which nothing has
  DiskName disk{};  // of a snapshot: one that is there to be read, or one that is to be made
  guest_protocol::ArchiveWay way = guest_protocol::ArchiveWay::out;
  std::uint32_t unused = 0;
  std::uint64_t disk_bytes = 0;    // what may come in; cut down to the cap, as in a plan
  std::uint64_t memory_bytes = 0;  // for its process; cut down to kMaxArchiverMemory, and to the cap
};

struct GateRequest {
  LauncherHeader header;
  DiskName id{};  // an id like a sandbox's, which nothing has
};
constexpr std::size_t kNetworkFds = 1;  // of an answer to open_network; of open_gate, too
constexpr std::size_t kArchiveFds = 2;  // of an answer: channel, stream

// Changes of limits at a time, of all sandboxes: each may keep a processor busy. More are answered with EAGAIN.
constexpr std::size_t kMaxLimitChanges = 4;

// All of them; what is above the caps is cut down to them, as in a plan.
struct LimitRequest {
  LauncherHeader header;
  std::uint64_t serial;
  std::uint64_t memory_bytes;
  std::uint32_t cpu_millis;
  std::uint32_t processes;  // no more than it was launched with
};

// The steps that the launcher itself takes, for errors and timings.
enum class LauncherStep : std::uint32_t {
  none,
  validate,
  lease,
  cgroups,
  clone,
  id_maps,
  mounts,
  setup,
  not_found,
  limits,
  disk,
};
const char* to_string(LauncherStep step);

// Descriptors of a launch answer, in this order.
enum class SandboxFd : std::uint32_t {
  channel,         // to the guest
  kill,            // cgroup.kill of all commands (not of the guest)
  memory_peak,     // a number in bytes; may be absent on kernels without it: then a descriptor of an empty file
  memory_events,   // text with a line "oom_kill N"
  processes_peak,  // a number of processes and threads; on kernels without it a descriptor of an empty file
  oom_event,       // eventfd that becomes readable when the sandbox ran out of memory (v1); else never
  // Of a kept sandbox only:
  freeze,         // cgroup.freeze of all commands
  state,          // cgroup.events of the same: a line "frozen 0" or "frozen 1"
  memory_now,     // a number in bytes
  processes_now,  // a number of processes and threads, the guest among them
  processor,      // cpu.stat of everything in the sandbox: a line "usage_usec N"
  count,
};
constexpr std::size_t kOneShotFds = 6;  // the first six
static_assert(static_cast<std::size_t>(SandboxFd::freeze) == kOneShotFds);

struct LauncherAnswer {
  std::uint32_t request = 0;
  LauncherStep failed_step = LauncherStep::none;  // none = success
  std::int32_t error = 0;                         // errno of the failed step
  std::uint32_t id_base = 0;                      // of the leased range
  std::uint64_t serial = 0;            // names the sandbox to this launcher; of limit: its memory's limit now
  std::uint32_t has_disk = 0;          // of a launch: 1 = what is written there may outlive the sandbox
  std::uint32_t can_stay = 0;          // of a launch: 1 = its guest can outlive this channel (Stay)
  std::uint32_t has_device_list = 0;   // of a launch: 1 = the kernel looks at which devices it opens
  std::uint32_t has_own_nodes = 0;     // of a launch: 1 = the nodes in /dev are not the machine's
  std::uint32_t has_socket_limit = 0;  // of a launch: 1 = what is in sockets has a limit
  std::uint32_t has_memory_limit = 0;  // of a launch: 1 = the kernel keeps its cgroup to the plan's; so the next two
  std::uint32_t has_cpu_limit = 0;
  std::uint32_t has_process_limit = 0;
  std::uint32_t has_own_ids = 0;  // of a launch: 1 = no other sandbox has its range
  std::uint32_t unused = 0;
  DiskName disk{};  // of next_disk and next_left
};

}  // namespace lmsb::sandbox
