#pragma once
// StdinPump: carries what comes on our stdin to a command that is followed, as it comes, by a thread of its own.
#include <optional>
#include <string>
#include <thread>

#include "base/unique_fd.h"
#include "cli/connection.h"

namespace lmsb::cli {

class StdinPump {
 public:
  // Begins at once: to the process that `target` is the stdin of ("/v1/sandboxes/box/processes/prc_1/stdin"), until
  // stdin ends, which it tells, or the command reads no more. What the daemon has no room for is sent again. After any
  // other failure `failed`, an eventfd, can be read: the command must not take what has come for all. `connection`
  // outlives it.
  StdinPump(const Connection& connection, std::string target, BorrowedFd failed);
  // Ends it, and what is on its way. Blocks a moment.
  ~StdinPump();
  StdinPump(const StdinPump&) = delete;
  StdinPump& operator=(const StdinPump&) = delete;

  // Why it ended before its time. Once `failed` can be read.
  const std::optional<Error>& failure() const { return failure_; }

 private:
  UniqueFd stop_;
  std::optional<Error> failure_;  // of the thread, until `failed` can be read
  std::thread thread_;            // last: it uses the others
};

}  // namespace lmsb::cli
