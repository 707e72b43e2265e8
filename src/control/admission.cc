#include "control/admission.h"

#include <chrono>
#include <utility>

namespace lmsb::control {

Admission::Admission(boost::asio::io_context& loop, std::size_t slots, std::size_t queue)
    : slots_(slots), queue_(queue), left_(loop) {}

Admission::Slot& Admission::Slot::operator=(Slot&& o) noexcept {
  std::swap(admission_, o.admission_);
  waited_ms_ = o.waited_ms_;
  return *this;
}

Admission::Slot::~Slot() {
  if (admission_ != nullptr) admission_->leave();
}

io::Task<Admission::Slot> Admission::enter() {
  // Nobody overtakes: a free slot belongs to whoever has waited longest.
  if (running_ < slots_ && left_.waiting() == 0) {
    ++running_;
    co_return Slot(this, 0);
  }
  if (waiting_ >= queue_)
    co_return Error(ErrorCode::resource_exhausted, "too many commands are running and waiting")
        .with_slug("too_many_requests")
        .with_hint("try again later, or raise [limits] max_running and max_waiting");
  const auto began = std::chrono::steady_clock::now();
  ++waiting_;
  Status woken;
  do woken = co_await left_.wait();
  while (woken.ok() && running_ >= slots_);
  --waiting_;
  if (!woken.ok()) {
    if (running_ < slots_) left_.notify_one();  // the turn may have been ours
    co_return std::move(woken).error();
  }
  ++running_;
  const std::chrono::duration<double, std::milli> waited = std::chrono::steady_clock::now() - began;
  co_return Slot(this, waited.count());
}

void Admission::leave() {
  --running_;
  left_.notify_one();
}

}  // namespace lmsb::control
