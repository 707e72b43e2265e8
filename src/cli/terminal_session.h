#pragma once
// TerminalSession: the caller's terminal joined to the terminal of a process in a sandbox.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cli/connection.h"
#include "cli/console.h"

namespace lmsb::cli {

// Something that is asked again and again as long as the session lasts; what is answered matters to nobody.
struct Renewal {
  Call call;
  std::chrono::milliseconds every;
};

// Shows the terminal of `process` from its beginning and types what is typed here, until the process ends, somebody
// else takes its terminal, or the connection is lost. Returns the exit status for ours. Blocks. Errors: those of a
// refusal.
Result<int> join_terminal(const Connection& connection, const std::string& sandbox, const std::string& process,
                          Console& console, const std::optional<Renewal>& renewal = {});

}  // namespace lmsb::cli
