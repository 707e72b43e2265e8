#pragma once
// Admission: what is admitted at once: so many commands, and so many sandboxes as there is memory for. The rest waits
// in two bounded, fair queues (capacity.h), for so long at most; beyond that the answer is 429. One loop, one thread.
//
// Memory. Each sandbox that lives holds a share of the budget, from before it is launched or taken from the pool until
// the launcher has given back what it had: running or paused, but not stopped. Prepared ones hold none: they use next
// to nothing. One with a network counts for the memory of its gate as well, and exports and imports for their
// processes. A one-shot's share is its memory limit, so that those which were admitted can all use what they may. What
// stays, a created sandbox or a model's runner, counts for its limit divided by `memory_overcommit`: its limit is far
// above what it uses most of the time, and counted in full the idle ones would soon keep everybody else out. So beside
// those the memory of all may run out, unless that is 1: then nothing is ever killed for want of memory within its own
// limit.
//
// CPU. Not counted by default. CPUs can be shared by more than they were made for: the kernel gives each its part, all
// become slower and none fails, and how many compute at once is bounded by the number of commands. Who wants a bound on
// top gives a factor.
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/metrics.h"
#include "control/capacity.h"
#include "sandbox/launch_plan.h"

namespace lmsb::control {

struct AdmissionOptions {
  std::size_t max_running = 0;     // commands at once; 0 = 4 for each CPU, at least 8
  std::size_t max_waiting = 1024;  // in each queue
  std::chrono::milliseconds max_wait{30'000};
  Bytes memory;                   // 0 = `all_memory`
  Bytes all_memory;               // what the launcher lets all sandboxes together have
  double memory_overcommit = 64;  // of what stays, from 1
  double cpu_overcommit = 0;      // so many times the machine's CPUs; 0 = not counted
};

// What a sandbox counts for: with a network also for its gate.
sandbox::Limits with_gate(sandbox::Limits limits, bool has_network);

class Admission {
 public:
  // `loop` and `metrics` outlive everything that is held.
  Admission(boost::asio::io_context& loop, const AdmissionOptions& options, Metrics& metrics);

  using Share = Capacity::Share;
  // The right to run a command. Errors: too_many_requests (the queue is full, or the wait took too long), cancelled.
  using Slot = Share;
  io::Task<Slot> enter(std::string caller);

  // Room for a sandbox. Errors of take_room(): no_memory (as above), cancelled.
  std::optional<Share> try_room(const sandbox::Limits& limits, sandbox::Lifetime lifetime);
  io::Task<Share> take_room(std::string caller, sandbox::Limits limits, sandbox::Lifetime lifetime);
  // Of one that lives already, whether there is room for it or not.
  Share hold_room(const sandbox::Limits& limits, sandbox::Lifetime lifetime);
  // For a process that exports or imports a snapshot (archiver.h): counted in full, and what it may use. Errors as of
  // take_room().
  io::Task<Share> take_archiver_room(std::string caller);
  // For other limits. Error: no_memory, there is not so much more at the moment.
  Status resize(Share& share, const sandbox::Limits& limits, sandbox::Lifetime lifetime) const;
  // Whether there can ever be room for it. Error: policy_denied, with what it would count for and what there is.
  Status check(const sandbox::Limits& limits, sandbox::Lifetime lifetime) const;
  // What of them there can be room for: for limits that nobody has asked for.
  sandbox::Limits within(sandbox::Limits limits, sandbox::Lifetime lifetime) const;

  std::size_t running() const { return commands_.held().commands; }
  std::size_t waiting() const { return commands_.waiting() + sandboxes_.waiting(); }
  const Capacity& sandboxes() const { return sandboxes_; }
  const AdmissionOptions& options() const { return options_; }

 private:
  Amount room_of(const sandbox::Limits& limits, sandbox::Lifetime lifetime) const;
  double overcommit_of(sandbox::Lifetime lifetime) const;

  AdmissionOptions options_;
  Capacity commands_;
  Capacity sandboxes_;
};

}  // namespace lmsb::control
