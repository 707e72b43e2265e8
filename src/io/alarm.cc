#include "io/alarm.h"

#include <utility>

namespace lmsb::io {

struct Alarm::State {
  State(const boost::asio::any_io_executor& loop, Deadline deadline, std::function<void()> r)
      : timer(loop, deadline.when()), ring(std::move(r)) {}
  boost::asio::steady_timer timer;
  std::function<void()> ring;  // empty: destroyed, or rung
};

Alarm::Alarm(const boost::asio::any_io_executor& loop, Deadline deadline, std::function<void()> ring) {
  if (deadline.is_never()) return;
  state_ = std::make_shared<State>(loop, deadline, std::move(ring));
  state_->timer.async_wait([state = state_](const boost::system::error_code& error) {
    if (error || !state->ring) return;
    std::exchange(state->ring, nullptr)();
  });
}

Alarm::~Alarm() {
  if (!state_) return;
  state_->ring = nullptr;
  state_->timer.cancel();
}

}  // namespace lmsb::io
