#pragma once
// Admission: how many commands run at once. The rest wait in a bounded queue, first come first served; beyond it the
// answer is 429 at once. One loop, one thread.
#include <memory>

#include <boost/asio/io_context.hpp>

#include "io/event.h"
#include "io/task.h"

namespace lmsb::control {

class Admission {
 public:
  // `slots` at once, `queue` waiting.
  Admission(boost::asio::io_context& loop, std::size_t slots, std::size_t queue);

  // The right to run, given back when it is dropped.
  class Slot {
   public:
    Slot() = default;
    Slot(Admission* admission, double waited_ms) : admission_(admission), waited_ms_(waited_ms) {}
    Slot(Slot&& o) noexcept : admission_(std::exchange(o.admission_, nullptr)), waited_ms_(o.waited_ms_) {}
    Slot& operator=(Slot&& o) noexcept;
    ~Slot();
    double waited_ms() const { return waited_ms_; }  // for it

   private:
    Admission* admission_ = nullptr;
    double waited_ms_ = 0;
  };

  // Errors: resource_exhausted (the queue is full), cancelled.
  io::Task<Slot> enter();
  std::size_t running() const { return running_; }
  std::size_t waiting() const { return waiting_; }

 private:
  void leave();

  std::size_t slots_;
  std::size_t queue_;
  std::size_t running_ = 0;
  std::size_t waiting_ = 0;
  io::Event left_;
};

}  // namespace lmsb::control
