#pragma once
// run_blocking: runs one task on a loop of its own and returns what it ended with. For programs without a loop (the
// CLI) and for tests; never on a thread that already runs one.
#include <optional>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "io/spawn.h"
#include "io/task.h"
#include "io/wait_fd.h"

namespace lmsb::io {

namespace detail {
template <class T>
Always<void> keep(Always<T> task, std::optional<T>* out) {  // `out` outlives the task: run_on() waits for it
  T result = co_await std::move(task);
  out->emplace(std::move(result));
}

inline Always<void> cancel_when_readable(BorrowedFd fd, Canceller canceller) {
  const Status readable = co_await wait_readable(fd);
  if (readable.ok()) canceller.cancel();
}
}  // namespace detail

// Runs `loop` until `task` and whatever else is on it have ended.
template <class T>
T run_on(boost::asio::io_context& loop, Always<T> task) {
  std::optional<T> result;
  spawn(loop, detail::keep(std::move(task), &result));
  loop.restart();
  loop.run();
  LMSB_ASSERT(result.has_value());
  return *std::move(result);
}

template <class T>
T run_blocking(Always<T> task) {
  boost::asio::io_context loop(1);
  return run_on(loop, std::move(task));
}

// The same, but cancels the task when `stop` can be read.
template <class T>
T run_blocking(Always<T> task, BorrowedFd stop) {
  boost::asio::io_context loop(1);
  std::optional<T> result;
  Canceller work;
  Canceller watch;
  spawn(loop, detail::keep(std::move(task), &result), work, [&watch] { watch.cancel(); });
  spawn(loop, detail::cancel_when_readable(stop, work), watch);
  loop.run();
  LMSB_ASSERT(result.has_value());
  return *std::move(result);
}

}  // namespace lmsb::io
