#include "cli/main_cli.h"

#include <csignal>

#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/exit_status.h"

namespace lmsb::cli {
namespace {

int carry_out(const Words& words, Console& console) {
  const bool as_a_command = ends_as_a_command_does(words);
  const auto command = parse_command_line(words);
  if (!command.ok()) {
    report(console, command.error());
    return as_a_command ? kOurFailure : kUsage;
  }
  const auto status = std::visit([&console](const auto& value) { return execute(value, console); }, *command);
  if (!console.has_reader() && (status.ok() || status.error().code() == ErrorCode::cancelled)) return kNobodyReads;
  if (!status.ok()) {
    report(console, status.error());
    return as_a_command ? kOurFailure : kFailed;
  }
  if (*status == kOk && !console.complete()) return as_a_command ? kOurFailure : kFailed;
  return *status;
}

}  // namespace

int main_cli(int argc, char** argv) {
  // A closed pipe must not end us before a private daemon is: the write fails instead, and the status says so.
  ::signal(SIGPIPE, SIG_IGN);
  const Words words(argv + 1, argv + argc);
  StandardConsole console;
  return carry_out(words, console);
}

}  // namespace lmsb::cli
