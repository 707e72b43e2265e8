#pragma once
// Child: one program that a build runs, cut off from the rest of the machine as far as its work allows.
//
// Owns the process: the destructor kills and reaps it. A privileged child (make_system) is process 1 of its own pid
// and mount namespaces, with a private /tmp: when it dies, all that it started and mounted goes with it. (Where a user
// builds, who has no such power to lend, it is root of a user namespace over the image range.) An unprivileged one
// (unpack) is root of a user namespace over the image range only, with no network. Either dies with the caller's
// thread. For single-threaded programs: between fork and exec only system calls are made.
#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/id_ranges.h"

namespace lmsb::image {

using Deadline = std::chrono::steady_clock::time_point;

// Poll timeout for poll(2): milliseconds until `deadline`, 0 when it has passed.
int milliseconds_until(Deadline deadline);

struct ChildOptions {
  enum class Kind : std::uint8_t { make_system, unpack };
  Kind kind;
  std::vector<std::string> argv;  // argv[0] is an absolute path
  std::vector<std::string> env;
  BorrowedFd input;                       // -1: /dev/null
  BorrowedFd output;                      // -1: /dev/null
  BorrowedFd errors;                      // standard error
  BorrowedFd directory;                   // unpack: the working directory; make_system: what /tmp is inside
  std::uint32_t ids = sandbox::kIdRange;  // that are mapped for it, from those of images
  bool is_of_user = false;                // make_system: it is root of a user namespace over these ids as well
};

class Child {
 public:
  // Returns once the program runs; a program that cannot be started is an error that names it.
  static Result<Child> start(const ChildOptions& options);

  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  Child& operator=(Child&&) = delete;
  ~Child();

  // Waits for its end. True for exit status 0, false for anything else. deadline_exceeded leaves it running.
  Result<bool> wait(Deadline deadline);

 private:
  Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  pid_t pid_;
  UniqueFd pidfd_;
};

}  // namespace lmsb::image
