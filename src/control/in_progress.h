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
      const Status ended = co_await all->ended.wait(deadline);
      if (!ended.ok()) co_return;
    }
  }

  const std::shared_ptr<All> all_;
};

}  // namespace lmsb::control
