#pragma once
// OnTheirWay: tasks that are carried out whether or not who waits for them stays, and not too many of one caller.
#include <cstddef>
#include <map>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "control/outlive.h"

namespace lmsb::control {

class OnTheirWay {
 public:
  // `loop` outlives it, and it its tasks.
  explicit OnTheirWay(boost::asio::io_context& loop) : loop_(loop) {}

  // Errors, beside those of the task: sandbox_busy (`by` has kMaxOfOne already), cancelled (who waits goes away).
  template <class T>
  io::Task<T> carry_out(std::string by, io::Task<T> task) {
    if (count_[by] >= kMaxOfOne)
      co_return Error(ErrorCode::resource_exhausted, "too many changes of disks are on their way for you")
          .with_slug("sandbox_busy")
          .with_hint("try again in a moment");
    ++count_[by];
    co_return co_await outlive(loop_, counted(std::move(by), std::move(task)));
  }

  static constexpr std::size_t kMaxOfOne = 16;

 private:
  template <class T>
  io::Task<T> counted(std::string by, io::Task<T> task) {
    auto result = co_await std::move(task);
    if (--count_[by] == 0) count_.erase(by);
    co_return result;
  }

  boost::asio::io_context& loop_;
  std::map<std::string, std::size_t> count_;  // of each caller
};

}  // namespace lmsb::control
