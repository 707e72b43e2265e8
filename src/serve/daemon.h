#pragma once
// The daemon: puts loop, fleet, engine, doors and server together and runs them until SIGTERM. SIGHUP makes it take up
// keys, doors and policy anew (settings.h).
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "sandbox/device_table.h"
#include "serve/settings.h"

namespace lmsb::serve {

struct DaemonFds {
  UniqueFd launcher;           // the launcher's socket
  UniqueFd ready;              // gets one line when requests can be answered; may be empty
  std::vector<int> listening;  // TCP sockets that listen already, inherited: the daemon takes them over
};

// Blocks until SIGTERM or SIGINT, or until the launcher is gone (an Error).
Status run_daemon(Settings settings, DaemonFds fds, const sandbox::DeviceTable& devices);

}  // namespace lmsb::serve
