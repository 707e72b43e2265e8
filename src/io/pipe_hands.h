#pragma once
// PipeHands: threads that touch pipes whose lock others may hold (io/foreign_pipe.h). Unlike those of a BlockingPool
// they may be stuck for as long as somebody else likes, without being at fault.
//
// A loop has one of these, made at first use. A hand is started where none is free, up to a bound, and ends when there
// is no work for it. Where all are taken and work has waited for some time, or where nobody wants a result any more,
// whoever keeps a hand from coming back is ended after `patience`, the one that has kept it for longest first. What
// stays stuck all the same is counted as lost, and another hand may take its place; there is a bound to that as well.
//
// The loop's thread alone uses it. At the loop's end it waits a moment for its hands and then leaves them alone: they
// own what they touch.
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "base/unique_fd.h"
#include "io/alarm.h"
#include "io/event.h"
#include "io/task.h"

namespace lmsb::io {

class PipeHands {
 public:
  // Ends whoever holds the lock; `times` is how often that has been tried in vain. Called on the loop.
  using Evict = std::function<void(int times)>;

  struct Options {
    std::size_t most = 64;
    std::size_t most_lost = 256;
    std::size_t most_idle = 2;
    std::chrono::milliseconds patience{1'000};     // since the work began, and between two evictions
    std::chrono::milliseconds wait_for_hand{250};  // of the first in the queue, before anybody is evicted for it
  };

  // Work that a hand does, or will do. One task waits for it.
  class Work {
   public:
    explicit Work(boost::asio::io_context& loop) : changed_(loop) {}
    bool is_done() const { return is_done_; }
    std::chrono::steady_clock::time_point asked() const { return asked_; }
    // Errors: deadline_exceeded, cancelled. `self` by value: the one who asked may go.
    static Task<void> wait(std::shared_ptr<Work> self, Deadline deadline);
    // Ends the wait in progress, and later ones, with `cancelled`; the work goes on.
    void stop_waiting();

   private:
    friend class PipeHands;
    Event changed_;
    Evict evict_;
    const std::chrono::steady_clock::time_point asked_ = std::chrono::steady_clock::now();
    int evictions_ = 0;
    bool is_done_ = false;
    bool is_stopped_ = false;
    bool is_unwanted_ = false;
    bool is_lost_ = false;
  };

  // The loop's own.
  static std::shared_ptr<PipeHands> of(boost::asio::io_context& loop);

  PipeHands(boost::asio::io_context& loop, Options options);
  ~PipeHands();
  PipeHands(const PipeHands&) = delete;
  PipeHands& operator=(const PipeHands&) = delete;

  // Has a hand do `work`, which owns what it uses.
  std::shared_ptr<Work> take(std::function<void()> work, Evict evict);
  // Closes `end` soon, together with others, and ends who keeps it from that.
  void close_soon(std::shared_ptr<UniqueFd> end, Evict evict);
  // Nobody waits for it any more: whoever keeps it is ended.
  void give_up(const std::shared_ptr<Work>& work);
  // Later work is not done, and nobody is ended any more. Of the hands that are stuck it waits for a moment. What work
  // that is not done owns goes on a thread of its own: to close a pipe waits for its lock.
  void close();

 private:
  struct Job;
  struct Shared;   // with the hands, which may outlive all else
  struct Closing;  // what is to be closed together

  static void drop(const std::shared_ptr<Job>& job);
  void finish(const std::shared_ptr<Job>& job);
  void close_all();
  void look_after();
  Deadline evict_due(std::size_t wanted, Deadline wanted_from);

  boost::asio::io_context& loop_;
  const Options options_;
  std::shared_ptr<Shared> shared_;
  std::list<std::shared_ptr<Job>> works_;  // the longest taken first
  std::unique_ptr<Alarm> alarm_;
  std::shared_ptr<Closing> closing_;  // null: nothing
  std::unique_ptr<Alarm> closing_alarm_;
};

}  // namespace lmsb::io
