#pragma once
// Launches sandboxes in a loop as the daemon does, without HTTP, pool or JSON: launch, wait until ready, run one
// command, destroy. The launcher runs in a process of its own behind its socket, as it does below a daemon.
#include <cstddef>
#include <string>

#include "base/result.h"

namespace lmsb::bench {

struct LaunchLoopOptions {
  double seconds = 2;
  std::size_t concurrency = 1;  // rounds in progress at once
  bool kept = false;            // the plan of a kept sandbox, with its limits; else of a one-shot
  std::string image = "host";
  std::string image_root;  // holds <image>/rootfs
  std::string guest_program;
  std::string shell;  // runs the command; "" = bash, as POST /run-bash/ has it
  std::string command = "whoami";
};

// Blocks. Needs root. Returns the result as JSON: milliseconds of a round and of its parts.
Result<std::string> run_launch_loop(const LaunchLoopOptions& options);

}  // namespace lmsb::bench
