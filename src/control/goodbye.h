#pragma once
// goodbye: what sandboxes get that end with the daemon.
#include <memory>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "control/sandbox_handle.h"
#include "io/task.h"

namespace lmsb::control {

// Asks all that runs in these sandboxes to end, as `stop` does, and waits for them together: seconds at most, so that
// who has asked the daemon to end (a container's runtime waits for ten) need not kill it. What has not ended then is
// left to the caller, who kills it. The handles are let go of when it ends. One loop, one thread, which outlives it.
io::Always<void> say_goodbye(boost::asio::io_context& loop, std::vector<std::shared_ptr<SandboxHandle>> sandboxes);

}  // namespace lmsb::control
