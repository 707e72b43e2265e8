#pragma once
// OnTheirWay: tasks that are carried out whether or not who waits for them stays, and not too many of one caller.
//
// One loop, one thread. It may go before its tasks and places; what the tasks refer to must not.
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
  using Counts = std::map<std::string, std::size_t>;  // by caller
  // One of a caller's, while it lives; it is given back also where something is thrown.
  class Place {
   public:
    Place(std::shared_ptr<Counts> counts, std::string by) : counts_(std::move(counts)), by_(std::move(by)) {
      ++(*counts_)[by_];
    }
    ~Place() {
      if (--(*counts_)[by_] == 0) counts_->erase(by_);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    std::shared_ptr<Counts> counts_;
    std::string by_;
  };
  using Held = std::shared_ptr<const Place>;

  // `loop` outlives it. `what` names them in the refusal.
  OnTheirWay(boost::asio::io_context& loop, std::string what) : loop_(loop), what_(std::move(what)) {}

  // For what has much to do before its task can be carried out. Errors: sandbox_busy (`by` has kMaxOfOne already).
  Result<Held> place(std::string by) {
    const auto own = counts_->find(by);
    if (own == counts_->end() || own->second < kMaxOfOne) return Held(std::make_shared<Place>(counts_, std::move(by)));
    return Error(ErrorCode::resource_exhausted, "too many " + what_ + " are on their way for you")
        .with_slug("sandbox_busy")
        .with_hint("try again in a moment");
  }

  // Errors, beside those of the task: cancelled (who waits goes away).
  template <class T>
  io::Task<T> carry_out(Held place, io::Task<T> task) {
    auto whole = counted(std::move(place), std::move(task));
    co_return co_await outlive(loop_, std::move(whole));
  }

  // In a place of its own. Errors: sandbox_busy, too.
  template <class T>
  io::Task<T> carry_out(std::string by, io::Task<T> task) {
    LMSB_CO_TRY(Held held, place(std::move(by)));
    auto whole = carry_out(std::move(held), std::move(task));
    co_return co_await std::move(whole);
  }

  static constexpr std::size_t kMaxOfOne = 16;

 private:
  template <class T>
  static io::Task<T> counted(Held place, io::Task<T> task) {
    auto result = co_await std::move(task);
    place.reset();
    co_return result;
  }

  boost::asio::io_context& loop_;
  const std::string what_;
  // Of each caller. Tasks that end with the loop have a part of it.
  std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();
};

}  // namespace lmsb::control
