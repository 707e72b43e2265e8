// The launcher's part in the networks of sandboxes (docs/adr/0038): gates. Each is a sandbox to the rest of the
// launcher: it has a range of ids, a cgroup and a serial, and ends as one. But it is in the machine's network
// namespace.
#include <algorithm>
#include <cerrno>

#include "guest_protocol/gate.h"
#include "launcher/filters.h"
#include "launcher/launcher.h"
#include "os/memfd.h"
#include "os/message_socket.h"

namespace lmsb::launcher {
namespace {

using sandbox::LauncherStep;

constexpr const char* kName = "lm-sandbox-gate";
constexpr std::uint32_t kCpuMillis = 500;  // beside what its sandbox may use
constexpr std::uint32_t kProcesses = 2;

// What its cgroup is made of. Admission counts its memory with its sandbox's.
sandbox::LaunchPlan plan_of(const std::string& id, const Caps& caps) {
  sandbox::LaunchPlan plan;
  (void)id.copy(plan.id.data(), plan.id.size() - 1);
  plan.memory_bytes = std::min(guest_protocol::kGateMemory, caps.memory_bytes);
  plan.cpu_millis = std::min(kCpuMillis, caps.cpu_millis);
  plan.processes = kProcesses;
  return plan;
}

}  // namespace

Status Launcher::use_gate(UniqueFd program) {
  LMSB_TRY(const auto filter, compile_seccomp(gate_filter()));
  const std::string_view octets(reinterpret_cast<const char*>(filter.data()), filter.size() * sizeof(filter[0]));
  LMSB_TRY(gate_filter_, os::make_sealed_memfd("lm-sandbox-gate-filter", octets));
  gate_program_ = std::move(program);
  return {};
}

void Launcher::handle_gate(const sandbox::GateRequest& request) {
  const std::uint32_t number = request.header.request;
  const std::string id = request.id.back() == '\0' ? request.id.data() : "";
  if (!SandboxId::parse(id)) return refuse(number, LauncherStep::validate, EINVAL);
  if (!gate_program_) return refuse(number, LauncherStep::clone, ENOSYS);
  if (live_ids_.contains(id)) return refuse(number, LauncherStep::validate, EEXIST);
  if (sandboxes_.size() >= policy_.max_sandboxes) return refuse(number, LauncherStep::lease, EAGAIN);
  const auto base = lease(guest_protocol::RootKind::host_tree);
  if (!base) return refuse(number, LauncherStep::lease, EAGAIN);
  const std::uint64_t serial = next_serial_++;
  Sandbox& sandbox = sandboxes_[serial];
  sandbox.id = id;
  sandbox.id_base = *base;
  live_ids_[id] = serial;
  UniqueFd channel;
  const Status begun = begin_gate(sandbox, serial, channel);
  const int fd = channel.get();
  if (begun.ok()) return answer({number, LauncherStep::none, 0, *base, serial}, &fd, 1);
  refuse(number, LauncherStep::clone, begun.error().sys_errno());
  kill(serial);
  if (sandboxes_.contains(serial) && sandbox.guest.pid < 0) handle_exit(serial);
}

Status Launcher::begin_gate(Sandbox& sandbox, std::uint64_t serial, UniqueFd& channel) {
  const sandbox::LaunchPlan plan = plan_of(sandbox.id, policy_.caps);
  LMSB_TRY(SandboxCgroup cgroup, cgroups_->create(plan, sandbox.id_base, CgroupUse::gate));
  sandbox.kill_all = std::move(cgroup.kill_all);
  UniqueFd theirs;
  if (!message_socket_pair(channel, theirs)) return Error::from_errno(errno, "socketpair");
  const std::uint32_t owner = owner_of(sandbox, guest_protocol::Profile::user);
  LMSB_TRY(sandbox.guest, spawn_guest(gate_program_.get(), theirs.get(), cgroup.v2.get(), cgroup.join, owner, kName));
  sandbox.guest.user_namespace.reset();  // no mount is mapped by it
  LMSB_CHECK(watch(sandbox, serial));
  LMSB_CHECK(map_ids(sandbox));
  const guest_protocol::GateStart start;
  const iovec part{const_cast<guest_protocol::GateStart*>(&start), sizeof start};  // NOLINT: C interface
  const int filter = gate_filter_.get();
  if (!send_message(channel.get(), &part, 1, &filter, 1)) return Error::from_errno(errno, "start the gate");
  return {};
}

}  // namespace lmsb::launcher
