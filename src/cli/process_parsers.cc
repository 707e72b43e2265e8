// exec, top, logs, attach, wait, kill: words about the processes of a sandbox that exists.
#include <charconv>

#include "base/moment.h"
#include "base/signal_name.h"
#include "base/text.h"
#include "cli/command_parsers.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

using Order = FlagSet::Order;

// "all", or how many lines; none at all is a number, too.
Result<std::optional<std::uint64_t>> parse_tail(std::string_view text) {
  if (text == "all") return std::optional<std::uint64_t>();
  std::uint64_t lines = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), lines);
  if (!text.empty() && error == std::errc() && end == text.data() + text.size()) return std::optional(lines);
  return Error(ErrorCode::invalid_argument, "not a number of lines: " + quoted(text)).with_hint("write 100, or all");
}

// A moment as the daemon takes it: "10m" is by its clock.
Result<std::string> parse_when(std::string_view text) {
  if (parse_moment(text)) return std::string(text);
  return Error(ErrorCode::invalid_argument, "not a time: " + quoted(text))
      .with_hint("write 30s, 10m, 1h30m or 7d for so long ago, or 2026-01-31T23:59:59Z");
}

// logs and attach: a sandbox, and perhaps a process.
Result<AnyCommand> parse_output(const std::string& name, FlagSet& flags, LogsCommand command, const Words& words) {
  HostFlags host;
  add_target(flags, host);
  flags.flag("--json", command.target.json,
             name == "logs" ? "Print JSON: one document, or with -f an object a line" : "Print JSON, an object a line");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.empty() || parsed.words.size() > 2 || any_empty(parsed.words))
    return usage_error(name, "needs a sandbox, and a process at most");
  host.apply(command.target);
  command.sandbox = parsed.words[0];
  if (parsed.words.size() == 2) command.process = parsed.words[1];
  return command;
}

}  // namespace

Result<AnyCommand> parse_exec(const Words& words) {
  FlagSet flags("exec", {"exec [OPTIONS] SANDBOX COMMAND [ARG...]"},
                "Run a command in a sandbox that exists.\n"
                "Exit status: the command's own; 124 time limit, 125 our failure, 126 not executable, 127 not found.",
                Order::first);
  HostFlags host;
  ProcessTexts process;
  ExecCommand command;
  Words limits;
  std::optional<std::string> session;
  bool json = false;
  add_target(flags, host);
  add_process_flags(flags, process);
  flags.flag("-d,--detach", command.detach, "Let it go on by itself, and print the id of the process");
  flags.flag("-t,--tty", command.terminal, "Give it a terminal, which is yours until it ends (also -it)");
  flags.value(
      "--session", "NAME", session,
      "Run COMMAND, one word, in the shell of this name, made on first use: what it changes is there for the next");
  flags.values("-e,--env", "KEY=VALUE", command.env.variables, "Set a variable; KEY alone passes on your own");
  flags.values("--env-file", "FILE", command.env.files, "Set the variables that FILE lists, one KEY=VALUE a line");
  flags.values("--ulimit", "NAME=VALUE", limits,
               "Limit of each process: cpu=SECONDS, as=SIZE, fsize=SIZE, nofile=NUMBER");
  flags.flag("--json", json, "Print the daemon's answer as JSON");
  flags.instead("--privileged", false, "what is root inside is said when a sandbox is made: create --root");
  flags.instead("--detach-keys", true, "closing the connection detaches: attach SANDBOX PROCESS takes it up again");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.size() < 2 || parsed.words.front().empty())
    return usage_error("exec", "needs a sandbox and a command");
  command.target = target_of(host, json);
  command.sandbox = parsed.words.front();
  parsed.words.erase(parsed.words.begin());
  if (parsed.words.front() == "--") parsed.words.erase(parsed.words.begin());
  if (parsed.words.empty()) return usage_error("exec", "needs a command behind '--'");
  if (command.terminal && command.detach) return usage_error("exec", "-t and -d do not go together");
  command.session = session.value_or("");
  if (session && (session->empty() || parsed.words.size() != 1 || command.terminal || command.detach))
    return usage_error("exec",
                       "--session takes a name and one command for its shell ('cd /tmp; ls'), without -t and -d");
  LMSB_TRY(command.process, process_flags(process, std::move(parsed.words)));
  for (const std::string& limit : limits) {
    auto read = parse_ulimit(limit);
    if (!read.ok()) return std::move(read).error().with_context("--ulimit");
    if (!command.process.limits.insert(*std::move(read)).second)
      return usage_error("exec", "--ulimit " + limit + ": this limit is given twice");
  }
  return command;
}

Result<AnyCommand> parse_shell(const Words& words) {
  FlagSet flags("shell", {"shell [OPTIONS] SANDBOX"},
                "Open a login shell in a sandbox that exists; it goes on when the connection is lost (see attach)",
                Order::anywhere);
  HostFlags host;
  ExecCommand command;
  ProcessTexts process;
  command.terminal = true;
  add_target(flags, host);
  add_place(flags, process.cwd, process.user);
  flags.values("-e,--env", "KEY=VALUE", command.env.variables, "Set a variable; KEY alone passes on your own");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.size() != 1 || any_empty(parsed.words)) return usage_error("shell", "needs a sandbox");
  host.apply(command.target);
  command.sandbox = parsed.words[0];
  LMSB_TRY(command.process, process_flags(process, {}));
  return command;
}

Result<AnyCommand> parse_top(const Words& words) {
  FlagSet flags("top", {"top [OPTIONS] SANDBOX"},
                "List the processes of a sandbox: those that run, and detached ones that have ended", Order::anywhere);
  TopCommand command;
  const SandboxWords one{1, 1, "needs a sandbox, and nothing else (exec SANDBOX ps -ef lists what runs inside)"};
  LMSB_TRY(const auto sandbox, parse_sandboxes(flags, "top", one, command.target, words));
  if (!sandbox) return HelpCommand{flags.help()};
  command.sandbox = sandbox->front();
  return command;
}

Result<AnyCommand> parse_logs(const Words& words) {
  FlagSet flags("logs", {"logs [OPTIONS] SANDBOX [PROCESS]"},
                "Print what a detached process has written, or all of the sandbox have", Order::anywhere);
  std::optional<std::string> tail;
  std::optional<std::string> since;
  std::optional<std::string> until;
  LogsCommand logs;
  flags.flag("-f,--follow", logs.follow, "Go on until it ends");
  flags.value("-n,--tail", "LINES", tail, "Begin with the last lines of each stream (default all)");
  flags.value("--since", "TIME", since, "Only what came since: so long ago (10m), or at a time (2026-01-31T23:59:59Z)");
  flags.value("--until", "TIME", until, "Only what came until then");
  flags.flag("-t,--timestamps", logs.timestamps, "Print in front of each line when it came");
  flags.instead("--details", false, "inspect shows all that is known of a sandbox");
  LMSB_TRY(auto parsed, parse_output("logs", flags, LogsCommand(), words));
  const auto* const named = std::get_if<LogsCommand>(&parsed);
  if (named == nullptr) return parsed;
  logs.target = named->target;
  logs.sandbox = named->sandbox;
  logs.process = named->process;
  LMSB_CHECK(convert("--tail", tail, parse_tail, logs.tail));
  LMSB_CHECK(convert("--since", since, parse_when, logs.since));
  LMSB_CHECK(convert("--until", until, parse_when, logs.until));
  if (logs.follow && logs.until)
    return usage_error("logs", "-f waits for more, and --until is of what has come: not both");
  return logs;
}

Result<AnyCommand> parse_wait(const Words& words) {
  FlagSet flags("wait", {"wait [OPTIONS] SANDBOX [PROCESS...]"},
                "Wait until detached processes have ended, all if none is named, and print their exit statuses, a line "
                "each",
                Order::anywhere);
  WaitCommand command;
  LMSB_TRY(auto names, parse_sandboxes(flags, "wait", {1, SIZE_MAX, "needs a sandbox"}, command.target, words));
  if (!names) return HelpCommand{flags.help()};
  command.sandbox = names->front();
  command.processes.assign(names->begin() + 1, names->end());
  return command;
}

Result<AnyCommand> parse_attach(const Words& words) {
  FlagSet flags("attach", {"attach [OPTIONS] SANDBOX [PROCESS]"},
                "Print what a detached process has written and writes, until it ends; Ctrl-C leaves it alone.\n"
                "Exit status: the process's own; 124 time limit, 125 our failure, 126 not executable, 127 not found.",
                Order::anywhere);
  LogsCommand command;
  command.follow = true;
  command.ends_with_it = true;
  return parse_output("attach", flags, std::move(command), words);
}

Result<AnyCommand> parse_kill(const Words& words) {
  FlagSet flags("kill", {"kill [OPTIONS] SANDBOX [PROCESS...]"},
                "Send a signal to processes and everything they started: to all that run, if none is named",
                Order::anywhere);
  HostFlags host;
  std::optional<std::string> signal;
  KillCommand command;
  add_target(flags, host);
  flags.value("-s,--signal", "SIGNAL", signal, "Name or number (default: KILL)");
  flags.flag("--only-leader", command.only_leader, "Not to what the process started");
  flags.flag("--json", command.target.json, "Print JSON: which processes have got it");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.empty() || any_empty(parsed.words)) return usage_error("kill", "needs a sandbox");
  host.apply(command.target);
  command.sandbox = parsed.words.front();
  command.processes.assign(parsed.words.begin() + 1, parsed.words.end());
  if (!signal) return command;
  if (!parse_signal(*signal))
    return Error(ErrorCode::invalid_argument, "kill: " + quoted(*signal) + " is no signal")
        .with_hint("say TERM, SIGTERM or 15");
  command.signal = *signal;
  return command;
}

}  // namespace lmsb::cli
