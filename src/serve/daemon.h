#pragma once
// The daemon: puts loop, fleet, engine, doors and server together and runs them until SIGTERM.
#include "base/result.h"
#include "base/unique_fd.h"
#include "config/config.h"

namespace lmsb::serve {

// Blocks until SIGTERM or SIGINT, or until the launcher is gone (an Error). `ready_fd` gets one line when requests can
// be answered; -1 = none.
Status run_daemon(const config::Config& config, int ready_fd, UniqueFd launcher);

}  // namespace lmsb::serve
