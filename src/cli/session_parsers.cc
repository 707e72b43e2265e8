// session ls, rm: words about the shell sessions of a sandbox.
#include "cli/command_parsers.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

using Order = FlagSet::Order;

}  // namespace

Result<AnyCommand> parse_session_list(const Words& words) {
  FlagSet flags("session ls", {"session ls [OPTIONS] SANDBOX"},
                "List the shell sessions of a sandbox, and what runs in them.\n"
                "`exec --session NAME` makes one, and runs its commands in it.",
                Order::anywhere);
  SessionListCommand command;
  add_quiet(flags, command.quiet, "Print names only");
  LMSB_TRY(const auto names, parse_sandboxes(flags, "session ls", {1, 1, "needs one sandbox"}, command.target, words));
  if (!names) return HelpCommand{flags.help()};
  command.sandbox = names->front();
  return command;
}

Result<AnyCommand> parse_session_remove(const Words& words) {
  FlagSet flags("session rm", {"session rm [OPTIONS] SANDBOX SESSION [SESSION...]"},
                "End shell sessions with everything that they have started; the sandbox stays", Order::anywhere);
  SessionRemoveCommand command;
  flags.flag("-f,--force", command.force, "One that is not there is fine");
  LMSB_TRY(auto names, parse_sandboxes(flags, "session rm", {2, SIZE_MAX, "needs a sandbox and the name of a session"},
                                       command.target, words));
  if (!names) return HelpCommand{flags.help()};
  command.sandbox = names->front();
  command.sessions.assign(names->begin() + 1, names->end());
  return command;
}

}  // namespace lmsb::cli
