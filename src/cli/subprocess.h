#pragma once
// subprocess: runs a helper program with an argument vector and a time limit, and reads what it says.
#include <chrono>
#include <string>
#include <vector>

#include "base/result.h"

namespace lmsb::cli {

struct SubprocessResult {
  int status = 0;      // exit status; 128 + signal
  std::string output;  // stdout and stderr together; what goes beyond 64 KiB is dropped
};

// Runs argv[0] (looked up on PATH) with stdin from /dev/null and waits for its end. An Error when it cannot be started,
// or is not done in time: it is killed then.
Result<SubprocessResult> run_subprocess(const std::vector<std::string>& argv, std::chrono::milliseconds timeout);

}  // namespace lmsb::cli
