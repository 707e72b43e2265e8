#pragma once
// Exit statuses of the CLI. `run` and `exec` end as the command did (the daemon's results say 126 for a program that
// cannot be executed and 127 for one that is not there); these are for when there is no such status.
namespace lmsb::cli {

constexpr int kOk = 0;
constexpr int kFailed = 1;         // a command other than run and exec failed
constexpr int kUsage = 2;          // ... or was called wrongly
constexpr int kTimeLimit = 124;    // run, exec: the time limit ended the command
constexpr int kOurFailure = 125;   // run, exec: no fault of the command
constexpr int kNobodyReads = 141;  // stdout was closed by who read it: as a shell says of a program that SIGPIPE ended

}  // namespace lmsb::cli
