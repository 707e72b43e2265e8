// The fleet's part in networks of sandboxes: processes of the launcher's that serve them (control/gate.h).
#include "control/fleet.h"

namespace lmsb::control {

io::Task<std::unique_ptr<Gate>> Fleet::open_gate() {
  if (draining_) co_return daemon_ends();
  if (launcher_gone_) co_return launcher_gone();
  LMSB_CO_TRY(const std::uint32_t request, client_.send_open_gate(SandboxId::create().str()));
  send_rest();
  ++in_flight_;
  const io::Deadline deadline = io::Deadline::in(options_.launch_timeout);
  auto answer = co_await Fleet::launched(request, sandbox::LauncherClient::Disk::remove, deadline);
  --in_flight_;
  changed_.notify_all();
  if (!answer.ok()) co_return std::move(answer).error().with_context("the network's gate");
  sandbox::LaunchedSandbox launched = *std::move(answer);
  Gate::Release release = [weak = std::weak_ptr<Fleet*>(self_)](std::uint64_t serial) {
    if (const auto fleet = weak.lock()) (*fleet)->release(serial, sandbox::LauncherClient::Disk::remove);
  };
  co_return std::make_unique<Gate>(loop_, std::move(launched), std::move(release));
}

}  // namespace lmsb::control
