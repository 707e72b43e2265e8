#pragma once
// The end of a command that does not end by itself, and how long anybody waits for what comes with an end.
#include <chrono>

#include "control/sandbox_handle.h"
#include "guest_client/channel.h"
#include "io/task.h"

namespace lmsb::control {

constexpr std::chrono::milliseconds kPipeGrace{200};      // for a background child that holds the output
constexpr std::chrono::milliseconds kDrainLimit{10'000};  // for output that nobody holds any more
constexpr std::chrono::milliseconds kKillGrace{2'000};    // from a kill to the guest's report

// What is said of a command that left a process behind which had to be ended for its output's sake.
constexpr const char* kFreed = "a background process that kept the output locked was killed";

// Kills the command's tree, and every command of the sandbox where that brings no report. Ends with the guest's report,
// or `lost` when even that brings none. Both outlive the task.
io::Always<guest_client::Ending> wait_killed(guest_client::Process& process, SandboxHandle& sandbox);

}  // namespace lmsb::control
