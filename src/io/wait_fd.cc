#include "io/wait_fd.h"

#include <poll.h>
#include <tuple>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "io/alarm.h"
#include "io/error.h"
#include "io/spawn.h"

namespace lmsb::io {
namespace asio = boost::asio;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
using Descriptor = asio::posix::stream_descriptor;

// Asio (1.81) can end a wait by an event that was queued for another, released descriptor: the kernel has the last
// word.
bool is_ready(int fd, Descriptor::wait_type direction) {
  pollfd wait{fd, POLLPRI, 0};
  if (direction == Descriptor::wait_read) wait.events = POLLIN;
  if (direction == Descriptor::wait_write) wait.events = POLLOUT;
  return ::poll(&wait, 1, 0) != 0;
}

// As long as it lives, what cancels the task ends what `signal` ends.
class PassedOn {
 public:
  PassedOn(asio::cancellation_slot from, asio::cancellation_signal& signal) : from_(from) {
    if (from_.is_connected()) from_.assign([&signal](asio::cancellation_type type) { signal.emit(type); });
  }
  ~PassedOn() {
    if (from_.is_connected()) from_.clear();
  }
  PassedOn(const PassedOn&) = delete;
  PassedOn& operator=(const PassedOn&) = delete;

 private:
  asio::cancellation_slot from_;
};
}  // namespace

struct FdWatch::Impl {
  Impl(const asio::any_io_executor& loop, int fd) : descriptor(loop) { descriptor.assign(fd, failed); }
  ~Impl() {
    if (descriptor.is_open()) (void)descriptor.release();  // the descriptor is not ours to close
  }

  // `impl` is owned by the FdWatch, which outlives the wait.
  static Task<void> wait(Impl* impl, Descriptor::wait_type direction, Deadline deadline) {
    if (impl->failed) co_return to_error(impl->failed, "watch descriptor");
    const bool cancelled = co_await is_cancelled();
    if (cancelled) co_return Error(ErrorCode::cancelled, "wait for descriptor: cancelled");
    do {
      boost::system::error_code error;
      bool late = false;
      if (deadline.is_never()) {
        std::tie(error) = co_await impl->descriptor.async_wait(direction, kAwait);
      } else {
        error = co_await wait_until(impl, direction, deadline, &late);
      }
      if (error && late) co_return Error(ErrorCode::deadline_exceeded, "wait for descriptor: time limit met");
      if (error) co_return to_error(error, "wait for descriptor");
    } while (!is_ready(impl->descriptor.native_handle(), direction));
    co_return Status();
  }

  // The deadline ends this wait alone: somebody else may wait in the other direction.
  static Always<boost::system::error_code> wait_until(Impl* impl, Descriptor::wait_type direction, Deadline deadline,
                                                      bool* late) {
    const auto state = co_await asio::this_coro::cancellation_state;
    asio::cancellation_signal end;
    std::function<void()> ring = [&end, late] {
      *late = true;
      end.emit(asio::cancellation_type::terminal);
    };
    const Alarm alarm(impl->descriptor.get_executor(), deadline, std::move(ring));
    const PassedOn passed_on(state.slot(), end);
    auto until = asio::bind_cancellation_slot(end.slot(), kAwait);
    const auto [error] = co_await impl->descriptor.async_wait(direction, std::move(until));
    co_return error;
  }

  Descriptor descriptor;
  boost::system::error_code failed;
};

FdWatch::FdWatch(asio::any_io_executor loop, BorrowedFd fd) : impl_(std::make_unique<Impl>(loop, fd.get())) {}
FdWatch::~FdWatch() = default;
FdWatch::FdWatch(FdWatch&&) noexcept = default;
FdWatch& FdWatch::operator=(FdWatch&&) noexcept = default;

Task<void> FdWatch::readable(Deadline deadline) { return Impl::wait(impl_.get(), Descriptor::wait_read, deadline); }
Task<void> FdWatch::writable(Deadline deadline) { return Impl::wait(impl_.get(), Descriptor::wait_write, deadline); }
Task<void> FdWatch::changed(Deadline deadline) { return Impl::wait(impl_.get(), Descriptor::wait_error, deadline); }
void FdWatch::cancel() {
  if (impl_->descriptor.is_open()) impl_->descriptor.cancel();
}
void FdWatch::stop() {
  if (impl_->descriptor.is_open()) (void)impl_->descriptor.release();
}

Task<void> wait_readable(BorrowedFd fd, Deadline deadline) {
  FdWatch watch(co_await asio::this_coro::executor, fd);
  co_return co_await watch.readable(deadline);
}

Task<void> wait_writable(BorrowedFd fd, Deadline deadline) {
  FdWatch watch(co_await asio::this_coro::executor, fd);
  co_return co_await watch.writable(deadline);
}

}  // namespace lmsb::io
