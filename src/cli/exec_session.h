#pragma once
// Exec session: one command in a sandbox that exists, joined to the caller's own streams or terminal.
#include <chrono>
#include <optional>

#include "base/unique_fd.h"
#include "cli/command_line.h"
#include "cli/connection.h"
#include "cli/console.h"
#include "cli/requests.h"
#include "cli/terminal_session.h"

namespace lmsb::cli {

// Beyond a command's own time: waiting for a place, and the answer's way back.
constexpr std::chrono::milliseconds kQueueAllowance{60'000};

// Sends `call` for a command, prints what it writes as it writes it, or as JSON the result when it has ended; returns
// its exit status. Blocks.
Result<int> conclude(Api& api, const Call& call, bool json, Console& console);

struct ExecWay {
  BorrowedFd stop = BorrowedFd(-1);  // ends one that is followed, with `cancelled`, where this is valid
  std::optional<Renewal> renewal;    // while one has our terminal
};
// Runs it as it says: followed to its end, at a terminal, or by itself, of which the id is printed. Returns the exit
// status for ours. Blocks. Errors: the exchange's, those of a command that cannot be started, stdin that cannot be
// read.
Result<int> exec_in(const ExecCommand& command, const Inputs& inputs, Connection& connection, const ExecWay& way,
                    Console& console);

}  // namespace lmsb::cli
