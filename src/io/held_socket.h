#pragma once
// HeldSocket: a connected stream socket, and whatever keeps it open. For passing on a connection whose end means more
// than closing a descriptor (a place that is given back, a use that is over).
#include <memory>
#include <utility>

#include "base/unique_fd.h"

namespace lmsb::io {

class HeldSocket {
 public:
  // `owner` owns `fd`, as long as it lives.
  HeldSocket(std::shared_ptr<const void> owner, BorrowedFd fd) : owner_(std::move(owner)), fd_(fd) {}
  // Of one that nothing else depends on.
  explicit HeldSocket(UniqueFd fd) : fd_(fd) { owner_ = std::make_shared<const UniqueFd>(std::move(fd)); }

  BorrowedFd fd() const { return fd_; }

 private:
  std::shared_ptr<const void> owner_;
  BorrowedFd fd_;
};

}  // namespace lmsb::io
