#pragma once
// Starting tasks from plain code, and cancelling them.
//
// How cancelling works here: a root task (one given to spawn(), or a request of http::Server) and everything it awaits
// is cancelled as one. The operation it waits on then ends with Error `cancelled`, and so do all later waits of io/;
// nothing is thrown. Work on a BlockingPool runs to its end. A task that must still wait in order to clean up calls
// `co_await io::forget_cancellation()` first.
#include <functional>
#include <memory>

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>

#include "io/deadline.h"
#include "io/task.h"

namespace lmsb::io {

// Cancels the tasks it was given to. Keep it until they have ended, or let go of it: they then run on.
// Copies share one signal. For one task at a time.
class Canceller {
 public:
  Canceller();
  // Cancels the running task; nothing happens when there is none. May resume the task before it returns.
  void cancel();
  std::shared_ptr<boost::asio::cancellation_signal> signal() const { return signal_; }

 private:
  std::shared_ptr<boost::asio::cancellation_signal> signal_;
};

// Starts `task` on `loop` and returns at once. A bug that throws out of it aborts the program.
void spawn(boost::asio::io_context& loop, Always<void> task);
// The same, cancellable by `canceller`; `done` is called when it has ended.
void spawn(boost::asio::io_context& loop, Always<void> task, Canceller canceller, std::function<void()> done = {});
// The same from within a task, on its own loop.
Always<void> spawn_here(Always<void> task);
Always<void> spawn_here(Always<void> task, Canceller canceller);

// Makes the current root task one whose cancellation comes as an Error; spawn() has done it already.
Always<void> cancel_by_error();
// Whether the current root task has been cancelled.
Always<bool> is_cancelled();
// Lets the current root task wait again after it was cancelled. A second cancel() is then heard.
Always<void> forget_cancellation();

// The loop of the current task.
Always<boost::asio::io_context*> this_loop();
// Waits until `deadline`. Errors: cancelled.
Task<void> sleep_until(Deadline deadline);

}  // namespace lmsb::io
