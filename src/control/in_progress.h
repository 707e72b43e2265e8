#pragma once
// InProgress: what goes on, and that nothing does any more. One loop, one thread; what goes on may outlive it.
#include <cstddef>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "io/event.h"
#include "io/task.h"

namespace lmsb::control {

class InProgress {
 public:
  // `loop` outlives it.
  explicit InProgress(boost::asio::io_context& loop) : all_(std::make_shared<All>(loop)) {}

  // Something that goes on, as long as it lives.
  std::shared_ptr<const void> begin() { return std::make_shared<const One>(all_); }
  std::size_t count() const { return all_->count; }
  // Waits until something of it ends. Error: cancelled.
  io::Task<void> wait_end() { return next_end(all_, io::Deadline::never()); }
  // Returns when nothing does, or at the deadline.
  io::Always<void> wait_none(io::Deadline deadline) { return none_of(all_, deadline); }

 private:
  struct All {
    explicit All(boost::asio::io_context& loop) : ended(loop) {}
    std::size_t count = 0;
    io::Event ended;
  };
  class One {
   public:
    explicit One(std::shared_ptr<All> all) : all_(std::move(all)) { ++all_->count; }
    ~One() {
      --all_->count;
      all_->ended.notify_all();
    }
    One(const One&) = delete;
    One& operator=(const One&) = delete;

   private:
    const std::shared_ptr<All> all_;
  };
  static io::Always<void> none_of(std::shared_ptr<All> all, io::Deadline deadline) {
    while (all->count > 0) {
      const Status ended = co_await next_end(all, deadline);
      if (!ended.ok()) co_return;
    }
  }
  static io::Task<void> next_end(std::shared_ptr<All> all, io::Deadline deadline) {
    co_return co_await all->ended.wait(deadline);
  }

  const std::shared_ptr<All> all_;
};

}  // namespace lmsb::control
