#pragma once
// requests: the JSON bodies of /v1/run, /v1/sandboxes and .../exec, made from what the command line asked for, and
// the command's verdict read back from the answer. Pure.
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command_line.h"
#include "cli/console.h"
#include "cli/mounts_client.h"
#include "json/value.h"

namespace lmsb::cli {

// What only the caller's environment knows: resolved variables, what was read of stdin, mounts that were handed over.
struct Inputs {
  Variables env;
  std::string stdin_data;
  std::vector<OfferedMount> mounts;
};

// Only what was said on the command line is named; the rest is the daemon's to decide.
std::string create_body(const CreateCommand& command, const Inputs& inputs);
std::string exec_body(const ProcessFlags& process, const Inputs& inputs);
std::string run_body(const RunCommand& command, const Inputs& inputs);

// Prints what the command wrote, octet by octet, and a note for everything about its end that its exit status does not
// tell. Returns the exit status for ours (exit_status.h).
int show_result(json::Value result, Console& console);

// The exit status that `result` means; nothing is printed. A command that cannot be started has a result too: 126, 127.
int exit_status_of(json::Value result);

}  // namespace lmsb::cli
