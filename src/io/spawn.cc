#include "io/spawn.h"

#include <exception>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/deadline.h"
#include "io/error.h"

namespace lmsb::io {
namespace asio = boost::asio;
namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

Always<void> as_root(Always<void> task) {
  co_await cancel_by_error();
  co_await std::move(task);
}

void rethrow_bug(const std::exception_ptr& bug) {
  if (bug) std::rethrow_exception(bug);  // out of io_context::run(): nobody catches it
}

}  // namespace

Canceller::Canceller() : signal_(std::make_shared<asio::cancellation_signal>()) {}

void Canceller::cancel() {
  const auto keep = signal_;  // the task may let go of the last owner while it ends
  keep->emit(asio::cancellation_type::terminal);
}

void spawn(asio::io_context& loop, Always<void> task) {
  asio::co_spawn(loop, as_root(std::move(task)), [](const std::exception_ptr& bug) { rethrow_bug(bug); });
}

void spawn(asio::io_context& loop, Always<void> task, Canceller canceller, std::function<void()> done) {
  const auto slot = canceller.signal()->slot();
  auto ended = [canceller = std::move(canceller), done = std::move(done)](const std::exception_ptr& bug) {
    rethrow_bug(bug);
    if (done) done();
  };
  asio::co_spawn(loop, as_root(std::move(task)), asio::bind_cancellation_slot(slot, std::move(ended)));
}

Always<void> spawn_here(Always<void> task) {
  const auto loop = co_await asio::this_coro::executor;
  asio::co_spawn(loop, as_root(std::move(task)), [](const std::exception_ptr& bug) { rethrow_bug(bug); });
}

Always<void> spawn_here(Always<void> task, Canceller canceller) {
  const auto loop = co_await asio::this_coro::executor;
  const auto slot = canceller.signal()->slot();
  auto ended = [canceller = std::move(canceller)](const std::exception_ptr& bug) { rethrow_bug(bug); };
  asio::co_spawn(loop, as_root(std::move(task)), asio::bind_cancellation_slot(slot, std::move(ended)));
}

Always<void> cancel_by_error() { co_await asio::this_coro::throw_if_cancelled(false); }

Always<bool> is_cancelled() {
  const auto state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}

Always<void> forget_cancellation() { co_await asio::this_coro::reset_cancellation_state(); }

Always<asio::io_context*> this_loop() {
  const auto executor = co_await asio::this_coro::executor;
  co_return static_cast<asio::io_context*>(&asio::query(executor, asio::execution::context));
}

Task<void> sleep_until(Deadline deadline) {
  const bool cancelled = co_await is_cancelled();
  if (cancelled) co_return Error(ErrorCode::cancelled, "sleep: cancelled");
  asio::steady_timer timer(co_await asio::this_coro::executor, deadline.when());
  const auto [error] = co_await timer.async_wait(kAwait);
  if (error) co_return to_error(error, "sleep");
  co_return Status();
}

}  // namespace lmsb::io
