#pragma once
// SandboxHandle: one live sandbox as the daemon holds it. Dropping it ends the sandbox, unless it was left: everything
// in it is killed and given back, off the path of whoever drops it.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "control/capacity.h"
#include "control/layers.h"
#include "control/sandbox_usage.h"
#include "guest_client/channel.h"
#include "io/wait_fd.h"
#include "sandbox/launch_plan.h"
#include "sandbox/launcher_client.h"

namespace lmsb::control {

class SandboxNetwork;  // control/sandbox_network.h

class SandboxHandle {
 public:
  // `release` is called once, with the launcher's serial, what becomes of the disk (nothing: the sandbox goes on
  // without it) and what it counted for, when the handle goes.
  using Disk = sandbox::LauncherClient::Disk;
  using Release = std::function<void(std::uint64_t serial, std::optional<Disk> disk, Capacity::Share room)>;
  using Guest = guest_client::Channel::Guest;
  SandboxHandle(boost::asio::io_context& loop, const sandbox::SandboxSpec& spec, sandbox::LaunchedSandbox launched,
                Guest guest, Release release);
  ~SandboxHandle();
  // What becomes of the disk of such a sandbox unless somebody says otherwise.
  static Disk disk_of(const sandbox::SandboxSpec& spec);
  SandboxHandle(const SandboxHandle&) = delete;
  SandboxHandle& operator=(const SandboxHandle&) = delete;

  const std::string& id() const { return id_; }
  std::uint64_t serial() const { return launched_.serial; }
  const std::string& image() const { return image_; }
  bool has_disk() const { return launched_.has_disk; }
  // Whether its disk outlives it, or goes with it: that of a sandbox which was started again stays until told
  // otherwise. Before one of these is called, one that an earlier daemon has had goes on when its handle goes.
  void keep_disk() { disk_ = Disk::keep; }
  void drop_disk() { disk_ = Disk::remove; }
  // Whether it goes on when the daemon ends: once its disk stays, and its guest has been told to. `life`: see Channel.
  bool stays() const { return launched_.can_stay && disk_ == Disk::keep && !channel_.is_closed(); }
  void stay(std::chrono::milliseconds life) { channel_.stay(life); }
  // The daemon ends: lets go of it. Whoever waits in it hears no more of it.
  void leave();
  guest_client::Channel& channel() { return channel_; }

  // Kills every command of the sandbox; the guest lives on to report. Never blocks.
  void kill_commands();
  // How many processes the kernel has killed for want of memory so far; 0 once the cgroup is gone.
  std::uint64_t oom_kills() const;
  // Whether the kernel has said that a one-shot ran out of memory (cgroup v1; it says so of a removed cgroup too).
  bool has_oom_notice() const;
  // The highest memory use so far; 0 when the kernel does not say.
  std::uint64_t peak_memory_bytes() const;
  // The most processes and threads at once, the guest left out; nothing when the kernel does not say.
  std::optional<std::uint64_t> peak_processes() const;
  // Its owner ends it: kills its commands, whose verdict says so, and hears no more of its guest, so that nobody who
  // waits in it holds this handle for long. Never blocks.
  void end();
  bool is_removed() const { return is_removed_; }

  // Of a kept sandbox: all commands stand still where they are, and go on again; the guest goes on. pause() ends when
  // the kernel says that they do; whoever calls it holds this until then. Errors: pause_failed (one of them is in the
  // middle of something that the kernel does not interrupt until `deadline`: all go on), sandbox_lost, cancelled (all
  // go on), the kernel's own. One pause at a time.
  io::Task<void> pause(io::Deadline deadline);
  // Never blocks. Errors: the kernel's own.
  Status resume();
  // Of a kept sandbox that is to be stopped: asks all that runs in it to end (Channel::ask_to_end()), and waits until
  // nothing runs any more and it is known how all of it ended. hurry() makes it wait no longer than that. Errors:
  // deadline_exceeded (something still runs), sandbox_lost (its guest, or its owner, has ended it), cancelled. One at
  // a time, and no pause meanwhile.
  io::Task<void> wind_down(io::Deadline deadline);
  // Whether something runs in it, as far as can be known at this moment: nothing, if so.
  bool has_work() const { return channel_.has_running() || usage().processes > 0; }
  void hurry(io::Deadline deadline);

  SandboxUsage usage() const;  // of a kept one

  Layers layers() const {
    return {ready.landlock_abi,         launched_.has_device_list, launched_.has_own_nodes,
            launched_.has_socket_limit, ready.packet_times,        ready.has_netlink_door == 1,
            launched_.has_memory_limit, launched_.has_cpu_limit,   launched_.has_process_limit,
            launched_.has_own_ids};
  }
  guest_protocol::Ready ready{};  // as the guest reported
  // Called when a command is ended because it keeps a pipe's lock; `times`: how often that was in vain before.
  std::function<void(int times)> on_eviction;
  std::string owner;  // for whom it counts; set before it has a network
  // It has no network any more: what it had is closed.
  void drop_network();
  std::shared_ptr<SandboxNetwork> network;  // null: it has none; closed before its sandbox goes
  std::shared_ptr<void> model_door;         // what serves its models to it, while it lives; null: it has none
  Capacity::Share room;                     // of the memory that there is for sandboxes; none as long as nobody uses it
  // A number that no other of its commands got.
  std::uint32_t next_number() { return ++last_number_; }

 private:
  struct OomWatch;
  std::optional<bool> stands_still() const;  // nothing: its cgroup is gone
  bool is_empty() const;                     // nothing runs in it, or its cgroup is gone
  io::FdWatch& state_watch();
  void close_doors();

  boost::asio::io_context& loop_;
  std::string id_;
  std::string image_;
  sandbox::LaunchedSandbox launched_;
  Release release_;
  std::optional<Disk> disk_;
  guest_client::Channel channel_;
  std::optional<io::FdWatch> state_watch_;  // from the first pause or stop on
  std::optional<io::Deadline> wound_down_by_;
  std::shared_ptr<OomWatch> oom_watch_;
  bool is_removed_ = false;
  std::uint32_t last_number_;
};

}  // namespace lmsb::control
