#pragma once
// PipeRelay: octets on their way from a pipe that others made to a socket, without being copied into this process. They
// wait in a pipe of our own, which nobody else can fill or empty: what it holds is there to be sent. No call waits in
// the kernel. One thread; the program must ignore SIGPIPE.
#include <cstddef>
#include <memory>
#include <sys/types.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace lmsb::io {

class PipeRelay {
 public:
  static constexpr std::size_t kSize = 1U << 20U;  // what pipes may hold where nobody has changed it

  // Errors: there are no descriptors left.
  static Result<std::shared_ptr<PipeRelay>> make();
  // Lets a pipe hold as much as a relay, so that its two ends take turns less often. May fail, which changes nothing.
  static void widen(BorrowedFd pipe);

  // Takes what `pipe` holds, at most `size` octets; only while nothing is held. 0 is the end, -1 with EAGAIN means that
  // there is nothing now.
  ssize_t take_now(BorrowedFd pipe, std::size_t size);
  // Gives what is held to `socket`, which is non-blocking, as far as it takes it. -1 with EAGAIN means that it takes
  // nothing now.
  ssize_t give_now(BorrowedFd socket);
  // Takes out what is held, at most `size` octets, for who sends more than octets as they are.
  ssize_t read_now(char* buffer, std::size_t size);
  std::size_t held() const { return held_; }

 private:
  PipeRelay(UniqueFd read, UniqueFd write) : read_(std::move(read)), write_(std::move(write)) {}

  UniqueFd read_;
  UniqueFd write_;
  std::size_t held_ = 0;
};

}  // namespace lmsb::io
