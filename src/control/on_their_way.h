#pragma once
// OnTheirWay: tasks that are carried out whether or not who waits for them stays, and not too many of one caller.
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "control/outlive.h"

namespace lmsb::control {

class OnTheirWay {
 public:
  // `loop` outlives it. `what` names them in the refusal.
  OnTheirWay(boost::asio::io_context& loop, std::string what) : loop_(loop), what_(std::move(what)) {}

  // Errors, beside those of the task: sandbox_busy (`by` has kMaxOfOne already), cancelled (who waits goes away).
  template <class T>
  io::Task<T> carry_out(std::string by, io::Task<T> task) {
    const auto found = count_->find(by);
    if (found != count_->end() && found->second >= kMaxOfOne)
      co_return Error(ErrorCode::resource_exhausted, "too many " + what_ + " are on their way for you")
          .with_slug("sandbox_busy")
          .with_hint("try again in a moment");
    auto counted = carry_out_counted(Place(count_, std::move(by)), std::move(task));
    co_return co_await outlive(loop_, std::move(counted));
  }

  static constexpr std::size_t kMaxOfOne = 16;

 private:
  using Counts = std::map<std::string, std::size_t>;

  // One that counts; it may go after all else.
  class Place {
   public:
    Place(std::shared_ptr<Counts> counts, std::string by) : counts_(std::move(counts)), by_(std::move(by)) {
      ++(*counts_)[by_];
    }
    Place(Place&&) noexcept = default;
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (counts_ && --(*counts_)[by_] == 0) counts_->erase(by_);
    }

   private:
    std::shared_ptr<Counts> counts_;
    std::string by_;
  };

  template <class T>
  static io::Task<T> carry_out_counted(Place place, io::Task<T> task) {
    const Place counts = std::move(place);  // no longer than this runs
    co_return co_await std::move(task);
  }

  boost::asio::io_context& loop_;
  const std::string what_;
  std::shared_ptr<Counts> count_ = std::make_shared<Counts>();  // of each caller
};

}  // namespace lmsb::control
