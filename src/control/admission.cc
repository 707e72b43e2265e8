#include "control/admission.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "control/machine.h"
#include "guest_protocol/gate.h"
#include "sandbox/launcher_protocol.h"

namespace lmsb::control {
namespace {

using sandbox::Lifetime;
using Refusal = Capacity::Refusal;

constexpr Amount kOneCommand{1, 0, 0};

// It needs some megabytes, and more for a tree with many links; what else it has are pages of the disk.
constexpr std::uint64_t kLeastForArchiver = 64ULL << 20U;
constexpr std::uint64_t kPartForArchiver = 8;  // of the budget: the few that there may be at once leave half of it

Error refuse_command(Refusal why) {
  return Error(ErrorCode::resource_exhausted, why == Refusal::waited_too_long
                                                  ? "no command has ended for this one for too long"
                                                  : "too many commands are running and waiting")
      .with_slug("too_many_requests")
      .with_hint("try again later, or raise [limits] max_running, max_waiting and max_wait_ms");
}

const char* what_of(Refusal why) {
  switch (why) {
    case Refusal::queue_full: return "the memory for sandboxes is taken, and too many requests wait for it";
    case Refusal::waited_too_long: return "the memory for sandboxes is taken, and none was given back in time";
    case Refusal::no_room_now: break;
  }
  return "the memory for sandboxes is taken";
}

Error refuse_sandbox(Refusal why) {
  return Error(ErrorCode::resource_exhausted, what_of(why))
      .with_slug("no_memory")
      .with_hint("try again later, ask for lower limits, stop or delete sandboxes, or see [limits] memory");
}

Error never_fits(const std::string& asked, const std::string& all, const char* hint) {
  return Error(ErrorCode::permission_denied, asked + " more than the " + all + " that all sandboxes may count for")
      .with_slug("policy_denied")
      .with_hint(hint);
}

double cpus_of(std::uint64_t millis) { return static_cast<double>(millis) / 1000; }

// Of what stays only a part counts.
std::string counts_for(Bytes memory, Bytes counted) {
  if (counted == memory) return format_bytes(memory) + " is";
  return format_bytes(memory) + " counts for " + format_bytes(counted) + ",";
}

Stay stay_of(Lifetime lifetime) { return lifetime == Lifetime::one_shot ? Stay::passing : Stay::lasting; }

Capacity::Options queue_of(const AdmissionOptions& options) {
  Capacity::Options queue;
  queue.queue = options.max_waiting;
  queue.wait = options.max_wait;
  return queue;
}

Capacity::Options for_commands(const AdmissionOptions& options, Metrics& metrics) {
  Capacity::Options commands = queue_of(options);
  const std::size_t some = std::max<std::size_t>(8, 4 * std::size_t{machine_cpus()});
  commands.total.commands = options.max_running > 0 ? options.max_running : some;
  commands.refuse = refuse_command;
  commands.waiting = &metrics.gauge("lmsb_waiting_requests", "Requests that wait", {{"for", "command"}});
  commands.refused =
      &metrics.counter("lmsb_refused_requests_total", "Requests for which there was no room", {{"for", "command"}});
  return commands;
}

Capacity::Options for_sandboxes(const AdmissionOptions& options, Metrics& metrics) {
  Capacity::Options sandboxes = queue_of(options);
  sandboxes.total.memory = options.memory.count() > 0 ? options.memory.count() : options.all_memory.count();
  sandboxes.total.cpu_millis = static_cast<std::uint64_t>(options.cpu_overcommit * 1000 * machine_cpus());
  sandboxes.refuse = refuse_sandbox;
  sandboxes.waiting = &metrics.gauge("lmsb_waiting_requests", "Requests that wait", {{"for", "memory"}});
  sandboxes.refused =
      &metrics.counter("lmsb_refused_requests_total", "Requests for which there was no room", {{"for", "memory"}});
  sandboxes.memory_held = &metrics.gauge("lmsb_memory_held_bytes", "Memory that sandboxes count for");
  metrics.gauge("lmsb_memory_budget_bytes", "Memory that they may count for")
      .set(static_cast<double>(sandboxes.total.memory));
  return sandboxes;
}

}  // namespace

sandbox::Limits with_gate(sandbox::Limits limits, bool has_network) {
  if (has_network) limits.memory = Bytes(limits.memory.count() + guest_protocol::kGateMemory);
  return limits;
}

Admission::Admission(boost::asio::io_context& loop, const AdmissionOptions& options, Metrics& metrics)
    : options_(options),
      commands_(loop, for_commands(options, metrics)),
      sandboxes_(loop, for_sandboxes(options, metrics)) {}

io::Task<Admission::Slot> Admission::enter(std::string caller) {
  return commands_.take(std::move(caller), kOneCommand, Stay::passing);
}

double Admission::overcommit_of(Lifetime lifetime) const {
  return stay_of(lifetime) == Stay::lasting ? std::max(1.0, options_.memory_overcommit) : 1.0;
}

Amount Admission::room_of(const sandbox::Limits& limits, Lifetime lifetime) const {
  const double memory = static_cast<double>(limits.memory.count()) / overcommit_of(lifetime);
  Amount room;
  room.memory = static_cast<std::uint64_t>(std::ceil(memory));
  if (options_.cpu_overcommit > 0) room.cpu_millis = limits.cpu_millis;
  return room;
}

std::optional<Admission::Share> Admission::try_room(const sandbox::Limits& limits, Lifetime lifetime) {
  return sandboxes_.try_take(room_of(limits, lifetime), stay_of(lifetime));
}

io::Task<Admission::Share> Admission::take_room(std::string caller, sandbox::Limits limits, Lifetime lifetime) {
  return sandboxes_.take(std::move(caller), room_of(limits, lifetime), stay_of(lifetime));
}

io::Task<Admission::Share> Admission::take_archiver_room(std::string caller) {
  sandbox::Limits limits;
  limits.memory =
      Bytes(std::clamp(sandboxes_.total().memory / kPartForArchiver, kLeastForArchiver, sandbox::kMaxArchiverMemory));
  limits.cpu_millis = sandbox::kArchiverCpuMillis;
  return take_room(std::move(caller), limits, Lifetime::one_shot);
}

Admission::Share Admission::hold_room(const sandbox::Limits& limits, Lifetime lifetime) {
  return sandboxes_.hold(room_of(limits, lifetime), stay_of(lifetime));
}

Status Admission::resize(Share& share, const sandbox::Limits& limits, Lifetime lifetime) const {
  return share.resize(room_of(limits, lifetime));
}

Status Admission::check(const sandbox::Limits& limits, Lifetime lifetime) const {
  const Amount& total = sandboxes_.total();
  const Amount room = room_of(limits, lifetime);
  if (total.memory > 0 && room.memory > total.memory) {
    const char* hint = options_.memory.count() > 0 ? "ask for less, or raise [limits] memory in the configuration"
                                                   : "ask for less: that is what sandboxes can have of this machine";
    return never_fits("limits.memory_bytes: " + counts_for(limits.memory, Bytes(room.memory)),
                      format_bytes(Bytes(total.memory)), hint);
  }
  if (total.cpu_millis > 0 && room.cpu_millis > total.cpu_millis)
    return never_fits(fmt::format("limits.cpus: {} is", cpus_of(room.cpu_millis)),
                      fmt::format("{}", cpus_of(total.cpu_millis)),
                      "ask for less, or raise [limits] cpu_overcommit in the configuration");
  return {};
}

sandbox::Limits Admission::within(sandbox::Limits limits, Lifetime lifetime) const {
  const Amount& total = sandboxes_.total();
  const double memory = static_cast<double>(total.memory) * overcommit_of(lifetime);
  if (total.memory > 0 && static_cast<double>(limits.memory.count()) > memory)
    limits.memory = Bytes(static_cast<std::uint64_t>(memory));
  if (total.cpu_millis > 0 && limits.cpu_millis > total.cpu_millis)
    limits.cpu_millis = static_cast<std::uint32_t>(total.cpu_millis);
  return limits;
}

}  // namespace lmsb::control
