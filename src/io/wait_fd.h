#pragma once
// Waiting for descriptors that somebody else owns: pidfds, pipes, sockets of any type.
//
// The caller reads and writes by its own system calls (non-blocking). For a descriptor that is waited on again and
// again, a FdWatch registers it with the loop once instead of once a wait (two system calls less each time).
#include <memory>

#include <boost/asio/any_io_executor.hpp>

#include "base/unique_fd.h"
#include "io/deadline.h"
#include "io/task.h"

namespace lmsb::io {

// Waits until `fd` can be read without blocking (a pidfd: until the process has ended; a pipe or socket: data, the end,
// or an error to be read), or until `deadline`. `fd` must stay open meanwhile, and must not be waited on by two at
// once. Regular files cannot be waited on. Errors: deadline_exceeded, cancelled, unsupported.
Task<void> wait_readable(BorrowedFd fd, Deadline deadline = Deadline::never());
// The same until it can be written.
Task<void> wait_writable(BorrowedFd fd, Deadline deadline = Deadline::never());

// Keeps a descriptor registered with a loop; does not own it. Destroy it before the descriptor is closed. One wait in
// each direction at a time.
class FdWatch {
 public:
  // `fd` is owned by the creator of the watch.
  FdWatch(boost::asio::any_io_executor loop, BorrowedFd fd);
  ~FdWatch();
  FdWatch(FdWatch&&) noexcept;
  FdWatch& operator=(FdWatch&&) noexcept;

  // A deadline, and the cancelling of a task, end that wait and not the one in the other direction.
  Task<void> readable(Deadline deadline = Deadline::never());
  Task<void> writable(Deadline deadline = Deadline::never());
  // Of a file of the kernel that tells of its changes (cgroup.events): until it has changed since it was last read.
  Task<void> changed(Deadline deadline = Deadline::never());
  // Ends the waits in progress with `cancelled`.
  void cancel();
  // The same for good: the descriptor is no longer registered and may be closed at once.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace lmsb::io
