#include "control/command_end.h"

namespace lmsb::control {

using guest_client::Ending;

io::Always<Ending> wait_killed(guest_client::Process& process, SandboxHandle& sandbox) {
  process.kill_tree();
  auto ended = co_await process.wait_ended(io::Deadline::in(kKillGrace));
  if (ended.ok()) co_return *ended;
  // Whoever waited has gone: no reason to end what others do in the sandbox.
  if (ended.error().code() != ErrorCode::deadline_exceeded) co_return Ending{};
  sandbox.kill_commands();
  auto last = co_await process.wait_ended(io::Deadline::in(kKillGrace));
  if (last.ok()) co_return *last;
  co_return Ending{};
}

}  // namespace lmsb::control
