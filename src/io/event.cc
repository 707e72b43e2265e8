#include "io/event.h"

#include <list>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/error.h"
#include "io/spawn.h"

namespace lmsb::io {
namespace asio = boost::asio;

// One waiting task: a timer that ends the wait, by its time or by being cancelled.
struct Event::Waiter {
  Waiter(asio::io_context& loop, Deadline deadline) : timer(loop, deadline.when()) {}
  asio::steady_timer timer;
  bool notified = false;
};

struct Event::List {
  explicit List(asio::io_context& l) : loop(l) {}

  // Takes the longest waiting out of the list and wakes it.
  void wake_first() {
    Waiter* first = waiters.front();
    waiters.pop_front();
    first->notified = true;
    first->timer.cancel();
  }

  // `list` by value: the Event may be destroyed while the task waits.
  static Task<void> wait(std::shared_ptr<List> list, Deadline deadline) {
    const bool cancelled = co_await is_cancelled();
    if (cancelled) co_return Error(ErrorCode::cancelled, "wait for event: cancelled");
    Waiter self(list->loop, deadline);
    const Membership membership(*list, self);
    const auto [error] = co_await self.timer.async_wait(asio::as_tuple(asio::use_awaitable));
    if (self.notified) co_return Status();
    if (error) co_return to_error(error, "wait for event");
    co_return Error(ErrorCode::deadline_exceeded, "wait for event: time limit met");
  }

  // In the list as long as the wait lasts and nobody took it out.
  struct Membership {
    Membership(List& l, Waiter& w) : list(l), waiter(w) { list.waiters.push_back(&w); }
    ~Membership() {
      if (!waiter.notified) list.waiters.remove(&waiter);
    }
    Membership(const Membership&) = delete;
    Membership& operator=(const Membership&) = delete;
    List& list;
    Waiter& waiter;
  };

  asio::io_context& loop;
  std::list<Waiter*> waiters;  // on the frames of the waiting tasks
};

Event::Event(asio::io_context& loop) : list_(std::make_shared<List>(loop)) {}

Event::~Event() {
  for (Waiter* waiter : list_->waiters) waiter->timer.cancel();
}

Task<void> Event::wait(Deadline deadline) { return List::wait(list_, deadline); }

void Event::notify_one() {
  if (!list_->waiters.empty()) list_->wake_first();
}

void Event::notify_all() {
  while (!list_->waiters.empty()) list_->wake_first();
}

std::size_t Event::waiting() const { return list_->waiters.size(); }

}  // namespace lmsb::io
