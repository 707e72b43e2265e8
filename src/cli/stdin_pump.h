#pragma once
// StdinPump: carries what comes on our stdin to a command that is followed, as it comes, by a thread of its own.
#include <string>
#include <thread>

#include "base/unique_fd.h"
#include "cli/connection.h"

namespace lmsb::cli {

class StdinPump {
 public:
  // Begins at once: to the process that `target` is the stdin of ("/v1/sandboxes/box/processes/prc_1/stdin"), until
  // stdin ends, which it tells, or the command reads no more. `connection` outlives it.
  StdinPump(const Connection& connection, std::string target);
  // Ends it; waits for what is on its way, which is over when the command is.
  ~StdinPump();
  StdinPump(const StdinPump&) = delete;
  StdinPump& operator=(const StdinPump&) = delete;

 private:
  UniqueFd stop_;
  std::thread thread_;  // last: it uses the others
};

}  // namespace lmsb::cli
