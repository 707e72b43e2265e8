#pragma once
// outlive: a task that is carried out whether or not who waits for it stays.
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/io_context.hpp>

#include "io/event.h"
#include "io/spawn.h"
#include "io/task.h"

namespace lmsb::control {

template <class T>
struct Outlived {
  explicit Outlived(boost::asio::io_context& loop) : ended(loop) {}
  std::optional<Result<T>> result;
  io::Event ended;
};

template <class T>
io::Always<void> carry_out(io::Task<T> task, std::shared_ptr<Outlived<T>> outlived) {
  try {
    outlived->result = co_await std::move(task);
  } catch (const std::exception& bug) {  // of who waits, not of the daemon
    outlived->result = Error(ErrorCode::internal, bug.what());
  }
  outlived->ended.notify_all();
}

// Starts `task` on `loop` as a task of its own and waits for its end. Error cancelled: who waits goes away, and it goes
// on; internal: it threw. What it refers to outlives the loop's tasks.
template <class T>
io::Task<T> outlive(boost::asio::io_context& loop, io::Task<T> task) {
  const auto outlived = std::make_shared<Outlived<T>>(loop);
  io::spawn(loop, carry_out<T>(std::move(task), outlived));
  while (!outlived->result) LMSB_CO_CHECK(co_await outlived->ended.wait());
  co_return std::move(*outlived->result);
}

}  // namespace lmsb::control
