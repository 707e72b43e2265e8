#include "control/goodbye.h"

#include <chrono>
#include <utility>

#include "io/event.h"
#include "io/spawn.h"

namespace lmsb::control {
namespace {

constexpr std::chrono::seconds kGrace{5};

struct Waiting {
  explicit Waiting(boost::asio::io_context& loop) : changed(loop) {}
  std::size_t count = 0;
  io::Event changed;
};

io::Always<void> wait_for(std::shared_ptr<SandboxHandle> sandbox, io::Deadline deadline,
                          std::shared_ptr<Waiting> waiting) {
  (void)co_await sandbox->wind_down(deadline);  // what still runs is killed next
  --waiting->count;
  waiting->changed.notify_all();
}

}  // namespace

io::Always<void> say_goodbye(boost::asio::io_context& loop, std::vector<std::shared_ptr<SandboxHandle>> sandboxes) {
  const io::Deadline deadline = io::Deadline::in(kGrace);
  const auto waiting = std::make_shared<Waiting>(loop);
  for (auto& sandbox : sandboxes) {
    ++waiting->count;
    io::spawn(loop, wait_for(std::move(sandbox), deadline, waiting));
  }
  while (waiting->count > 0) {
    const Status changed = co_await waiting->changed.wait();
    if (!changed.ok()) co_return;
  }
}

}  // namespace lmsb::control
