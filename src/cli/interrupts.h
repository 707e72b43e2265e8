#pragma once
// Interrupts: Ctrl-C as a wish that can be waited for, instead of the end of the program.
#include <csignal>

#include "base/unique_fd.h"

namespace lmsb::cli {

// From construction to destruction SIGINT makes a descriptor readable. A second one that comes before clear() ends the
// program as SIGTERM does: it works where nobody looks at the first. One at a time, before other threads begin; never
// blocks.
class Interrupts {
 public:
  Interrupts();
  ~Interrupts();
  Interrupts(const Interrupts&) = delete;
  Interrupts& operator=(const Interrupts&) = delete;

  // Can be read once there was one, until clear(). Invalid where the kernel gave none: then nothing is caught.
  BorrowedFd fd() const { return fd_; }
  bool has_come() const;
  // Forgets what there was.
  void clear();

 private:
  UniqueFd fd_;
  struct sigaction before_ {};
};

}  // namespace lmsb::cli
