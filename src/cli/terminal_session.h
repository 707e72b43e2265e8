#pragma once
// TerminalSession: the caller's terminal joined to the terminal of a process in a sandbox.
#include <cstdint>
#include <string>

#include "cli/connection.h"
#include "cli/console.h"

namespace lmsb::cli {

// Shows the terminal of `process` from its beginning and types what is typed here, until the process ends, somebody
// else takes its terminal, or the connection is lost. Returns the exit status for ours. Blocks. Errors: those of a
// refusal.
Result<int> join_terminal(const Connection& connection, const std::string& sandbox, const std::string& process,
                          Console& console);

}  // namespace lmsb::cli
