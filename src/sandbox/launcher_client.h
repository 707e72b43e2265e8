#pragma once
// LauncherClient: the daemon's end of the launcher's socket. Requests go out at once; answers come back in any order
// and are matched by number, so that many launches overlap.
//
// Not thread-safe. Never blocks when the socket is non-blocking: the owner waits for fd() to become readable and calls
// receive(). What a full socket does not take waits here: while has_unsent(), the owner waits for fd() to become
// writable and calls flush(). A closed socket means that the launcher is gone.
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/launcher_protocol.h"

namespace lmsb::sandbox {

// What the launcher handed over for one sandbox. Owns the descriptors; the sandbox itself ends by destroy().
struct LaunchedSandbox {
  std::uint64_t serial = 0;
  std::uint32_t id_base = 0;
  bool has_disk = false;          // a kept one's, which may outlive it
  bool can_stay = false;          // the same of its guest
  bool has_device_list = false;   // the kernel looks at which devices it opens
  bool has_own_nodes = false;     // the nodes in its /dev are not the machine's
  bool has_socket_limit = false;  // what is in its sockets has a limit
  bool has_memory_limit = false;  // the kernel keeps its cgroup to the plan's; so the next two
  bool has_cpu_limit = false;
  bool has_process_limit = false;
  bool has_own_ids = false;  // no other sandbox has its range
  std::string disk;          // of send_next_disk() and send_next_left(): an id, or ""
  UniqueFd channel;
  UniqueFd kill;
  UniqueFd memory_peak;
  UniqueFd memory_events;
  UniqueFd processes_peak;
  UniqueFd oom_event;
  // Of a kept one:
  UniqueFd freeze;
  UniqueFd state;
  UniqueFd memory_now;
  UniqueFd processes_now;
  UniqueFd processor;
  // Of send_open_network() and send_open_gate() alone: the counters, the channel.
  UniqueFd only;
  // Of an archiver, beside the channel:
  UniqueFd stream;
};

// What is answered for want of a launcher: launcher_lost.
Error launcher_gone();

class LauncherClient {
 public:
  explicit LauncherClient(UniqueFd socket);

  int fd() const { return socket_.get(); }

  // Sends a launch. Returns the request's number. Errors: resource_exhausted (kMaxUnsent wait already), unavailable.
  Result<std::uint32_t> send_launch(const LaunchPlan& plan);
  // The same for a destroy, which is never refused: each sandbox has one at most.
  enum class Disk : std::uint8_t { remove, keep };
  Result<std::uint32_t> send_destroy(std::uint64_t serial, Disk disk);
  // The same for a snapshot, a volume, or the disk of a sandbox that does not run; it is no error when there is none.
  Result<std::uint32_t> send_remove_disk(const std::string& id);
  // The same for the id of the first disk behind `after`, in their order: of snapshots or volumes when `after` begins
  // as theirs. A listing begins with "", or with their prefix alone (sandbox/disk_id.h).
  Result<std::uint32_t> send_next_disk(const std::string& after);
  // The same for what was made by a launch with Disk::fresh, or by a copy: until then the next start removes it.
  Result<std::uint32_t> send_claim_disk(const std::string& id);
  // The same for all that was never claimed and is not used.
  Result<std::uint32_t> send_sweep_disks();
  // The same for whether the disks can be written to. Errors: store_failed; with the errno ENODEV, there is no store.
  Result<std::uint32_t> send_check_store();
  // The same for a sandbox that was started on an existing disk, and stands: from now on the disk has its own limit.
  Result<std::uint32_t> send_settle_disk(const std::string& id);
  // The same for a change of limits; `disk` stays what it is. The answer is an Error with the errno; or its `serial`,
  // the limit of memory that it has then.
  Result<std::uint32_t> send_limits(std::uint64_t serial, const Limits& limits);
  // The same for what a disk holds: the answer's `serial`.
  Result<std::uint32_t> send_weigh_disk(const std::string& id);
  // The same for a copy of a disk or snapshot; a copy of that name must not be there, or, with `replaces`, not be used.
  Result<std::uint32_t> send_copy(const std::string& from, const std::string& to, bool replaces);
  // The same for an empty volume, fresh as what a launch makes, and for what one may hold.
  Result<std::uint32_t> send_make_volume(const std::string& id, Bytes size);
  Result<std::uint32_t> send_limit_volume(const std::string& id, Bytes size);
  // The same for a process with so much memory that reads a snapshot as a stream, or makes one of `most` at most:
  // answered with `serial`, `channel` and `stream`. It ends by send_destroy(), which keeps what was made, or removes
  // it.
  Result<std::uint32_t> send_archive(const std::string& job, const std::string& snapshot,
                                     guest_protocol::ArchiveWay way, Bytes most, Bytes memory);
  // The same for what was written to any disk: it is there when the answer comes.
  Result<std::uint32_t> send_sync();
  // The same for the first behind `after` of the sandboxes that an earlier launcher has left, and for having one of
  // them: answered as its launch would be, or with an error, and then it ends.
  Result<std::uint32_t> send_next_left(const std::string& after);
  Result<std::uint32_t> send_take_up(const std::string& id);
  // The same for the first behind `after` of the cgroups that belong to nothing.
  Result<std::uint32_t> send_next_stray(const std::string& after);
  // The same for the counters of a kept sandbox's network interfaces (`only` of the answer), to be read and closed
  // at once.
  Result<std::uint32_t> send_open_network(const std::string& id);
  // The same for a gate, which gets `id`: answered with `serial` and its channel (`only`). It ends by send_destroy().
  Result<std::uint32_t> send_open_gate(const std::string& id);
  bool has_unsent() const { return !unsent_.empty(); }
  // Sends what the socket takes now. An Error means the launcher is gone.
  Status flush();

  struct Answer {
    std::uint32_t request = 0;
    Result<LaunchedSandbox> launched;  // of anything but a launch: `serial`, or `disk`, alone
    std::uint64_t lost = 0;            // of a sandbox that stands, and of which we could not take what was handed over
  };
  // The next answer; nothing when none is there yet (non-blocking socket). An Error means the launcher is gone.
  Result<std::optional<Answer>> receive();

 private:
  static constexpr std::size_t kMaxUnsent = 1024;
  Result<std::uint32_t> send_disk(LauncherOperation operation, const std::string& id);
  Result<std::uint32_t> send_volume(LauncherOperation operation, const std::string& id, Bytes size);
  Status send(const void* message, std::size_t size);
  Status check_room() const;

  UniqueFd socket_;
  std::deque<std::string> unsent_;
  std::uint32_t next_request_ = 1;
};

}  // namespace lmsb::sandbox
