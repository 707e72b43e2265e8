#pragma once
// Parent: the root process that holds daemon and launcher together. It parses nothing from outside. Of a user's it is
// root of the user namespace that sandboxes are made in, and its directories are closed to all others.
//
// Starts both, forwards SIGTERM and SIGINT to the daemon, hands it the files of the settings anew at SIGHUP
// (handed_files.h), and ends with the daemon's exit status once the launcher has given everything back.
//
// A launcher that dies is healed: the parent ends its daemon too, and what runs in sandboxes that do not stay, and
// starts a new pair, which takes up those that stay. It keeps the listening sockets meanwhile, so whoever connects
// waits and is not refused. It says so, and does it 5 times within a minute and 10 within a day at most. Not for a
// command's own daemon, nor for a pair that has never served, nor when a new pair cannot begin: then, and when the
// daemon dies, all ends. A service manager starts the unit again, and the launcher's start removes whatever a killed
// one left. Children that this process had before are not ours, and are let be.
#include "base/result.h"
#include "launcher/parent_options.h"

namespace lmsb::launcher {

// Blocks until all has ended. Returns the exit status: the daemon's, or that of a launcher that ended first; 0 where
// one that was asked to end died of that.
Result<int> run_parent(const ParentOptions& options);

}  // namespace lmsb::launcher
