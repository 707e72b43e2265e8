#pragma once
// PrivateDaemon: a daemon for one command: `lm-sandbox serve` on a unix socket in a temporary directory, ended and
// cleaned up when the command ends, also by SIGINT, SIGTERM or SIGHUP.
//
// While one exists, those three signals are blocked in the calling thread, and a thread of ours waits for them: it ends
// the daemon and then this process by the same signal. At most one at a time, made by the main thread before it has
// others. Needs root.
#include <memory>
#include <string>
#include <sys/types.h>

#include "base/result.h"

namespace lmsb::cli {

class PrivateDaemon {
 public:
  // Starts `program` serve and blocks until it is ready, at most 30 s. `data_dir` "" = its default. When it ends or
  // fails instead, the Error is the last line that it printed.
  static Result<std::unique_ptr<PrivateDaemon>> start(const std::string& program, const std::string& data_dir);
  // Ends it (SIGTERM, after 10 s SIGKILL), waits for it and removes its directory.
  ~PrivateDaemon();
  PrivateDaemon(const PrivateDaemon&) = delete;
  PrivateDaemon& operator=(const PrivateDaemon&) = delete;

  // The path of its API's socket.
  const std::string& socket() const;

 private:
  struct State;
  explicit PrivateDaemon(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lmsb::cli
