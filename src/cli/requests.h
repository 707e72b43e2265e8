#pragma once
// requests: the JSON bodies of /v1/run, /v1/sandboxes and .../exec, made from what the command line asked for, and
// the command's verdict read back from the answer. Pure.
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/command_line.h"
#include "cli/console.h"
#include "cli/mounts_client.h"
#include "cli/terminal.h"
#include "json/value.h"

namespace lmsb::cli {

// What only the caller's environment knows: resolved variables, what was read of stdin, mounts that were handed over.
struct Inputs {
  Variables env;
  std::string stdin_data;
  std::vector<OfferedMount> mounts;
  std::vector<MountFlag> volumes;
};

// Only what was said on the command line is named; the rest is the daemon's to decide.
std::string update_body(const UpdateCommand& command);
std::string create_body(const CreateCommand& command, const Inputs& inputs);
// Whether what comes on stdin goes to the command as it comes; else the request holds all of it.
bool streams_stdin(const ExecCommand& command);
// `window`: of the terminal that it gets, where it gets one.
std::string exec_body(const ExecCommand& command, const Inputs& inputs, WindowSize window = {});
// Of a piece of a command's stdin; "" is its end.
std::string stdin_body(const std::string& octets);
std::string run_body(const RunCommand& command, const Inputs& inputs);
std::string volume_body(const VolumeCreateCommand& command);
std::string volume_update_body(const VolumeUpdateCommand& command);
std::string key_body(const KeyCreateCommand& command);

// Prints a note for everything about a command's end that its exit status does not tell.
void note_end(json::Value result, Console& console);

// The exit status that `result` means; nothing is printed. A command that cannot be started has a result too: 126, 127.
int exit_status_of(json::Value result);

}  // namespace lmsb::cli
