// pause, resume, stop, start, restart, update, stats, events, watch: words about the lives of sandboxes.
#include <cstdint>

#include "cli/command_parsers.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

using Order = FlagSet::Order;

Result<AnyCommand> parse_state(const std::string& verb, FlagSet& flags, const Words& words) {
  StateCommand command;
  command.verb = verb;
  LMSB_TRY(auto sandboxes, parse_sandboxes(flags, verb, {}, command.target, words));
  if (!sandboxes) return HelpCommand{flags.help()};
  command.sandboxes = *std::move(sandboxes);
  return command;
}

Result<AnyCommand> parse_state(const std::string& verb, const std::string& summary, const Words& words) {
  FlagSet flags(verb, {verb + " [OPTIONS] SANDBOX [SANDBOX...]"}, summary, Order::anywhere);
  return parse_state(verb, flags, words);
}

// stop and restart.
Result<AnyCommand> parse_stopping(const std::string& verb, FlagSet& flags, const Words& words) {
  std::optional<std::string> time;
  flags.value("-t,--time,--timeout", "SECONDS", time,
              "How long processes have to end, 10m at most (default 10; 0: killed at once)");
  flags.instead("-s,--signal", true, "they are asked with SIGTERM; kill -s SIGNAL SANDBOX sends another one");
  LMSB_TRY(auto command, parse_state(verb, flags, words));
  if (auto* state = std::get_if<StateCommand>(&command)) LMSB_CHECK(convert("--time", time, parse_grace, state->grace));
  return command;
}

void add_dockers_event_flags(FlagSet& flags) {
  flags.instead("--since", true, "no past is searched by time: --after ID tells those that followed it");
  flags.instead("--until", true, "Ctrl-C ends it");
  flags.instead("-f,--filter", true, "events SANDBOX tells those of one sandbox");
  flags.instead("--format", true, "--json prints an object a line");
}

}  // namespace

Result<AnyCommand> parse_pause(const Words& words) {
  return parse_state("pause",
                     "Let the processes of sandboxes stand still: nothing starts in them until they are resumed.\n"
                     "They keep their memory; what they wrote can be read. Time limits of commands go on.",
                     words);
}

Result<AnyCommand> parse_resume(const Words& words) {
  return parse_state("resume", "Let the processes of paused sandboxes go on", words);
}

Result<AnyCommand> parse_stop(const Words& words) {
  FlagSet flags(
      "stop", {"stop [OPTIONS] SANDBOX [SANDBOX...]"},
      "Stop sandboxes: their processes are asked to end, and killed when they have not in time; their disks stay.\n"
      "`start` starts them again.",
      Order::anywhere);
  return parse_stopping("stop", flags, words);
}

Result<AnyCommand> parse_restart(const Words& words) {
  FlagSet flags("restart", {"restart [OPTIONS] SANDBOX [SANDBOX...]"},
                "Stop sandboxes and start them again, on the disks that they had. Their processes do not come back.",
                Order::anywhere);
  return parse_stopping("restart", flags, words);
}

Result<AnyCommand> parse_start(const Words& words) {
  FlagSet flags("start", {"start [OPTIONS] SANDBOX [SANDBOX...]"},
                "Start stopped sandboxes again, on the disks that they had", Order::anywhere);
  constexpr const char* kNoCommand = "a sandbox has no command of its own: start it, then exec or shell";
  flags.instead("-a,--attach", false, kNoCommand);
  flags.instead("-i,--interactive", false, kNoCommand);
  return parse_state("start", flags, words);
}

Result<AnyCommand> parse_update(const Words& words) {
  FlagSet flags("update", {"update [OPTIONS] SANDBOX"},
                "Change labels of a sandbox, how long it lives, its limits and its network", Order::anywhere);
  LifeTexts life;
  LimitTexts limits;
  std::optional<std::string> network;
  Words labels;
  UpdateCommand command;
  add_life_flags(flags, life);
  add_limit_flags(flags, limits);
  flags.value("--network", "none|open|HOST,...", network,
              "What it may reach from now on; connections that this does not allow end");
  flags.values("--label", "KEY=VALUE", labels, "Set a label");
  flags.values("--no-label", "KEY", command.gone_labels, "Take a label away");
  LMSB_TRY(const auto sandbox, parse_sandboxes(flags, "update", {1, 1, "needs a sandbox"}, command.target, words));
  if (!sandbox) return HelpCommand{flags.help()};
  for (const std::string& label : labels) LMSB_CHECK(add_label(command.labels, label));
  for (const std::string& name : command.gone_labels) command.labels.erase(name);
  LMSB_TRY(command.life, life_flags(life));
  LMSB_TRY(command.limits, limit_flags(limits));
  LMSB_CHECK(convert("--network", network, parse_network, command.network));
  const bool says_life = life.timeout || life.idle || life.on_timeout || life.on_idle;
  if (!says_life && !command.limits.is_something() && !command.network && command.labels.empty() &&
      command.gone_labels.empty())
    return usage_error("update", "nothing to change");
  command.sandbox = sandbox->front();
  return command;
}

Result<AnyCommand> parse_stats(const Words& words) {
  FlagSet flags("stats", {"stats [OPTIONS] [SANDBOX...]"}, "Show what sandboxes use now: those named, else all",
                Order::anywhere);
  StatsCommand command;
  const SandboxWords any{0, SIZE_MAX, "takes ids and names of sandboxes"};
  LMSB_TRY(auto sandboxes, parse_sandboxes(flags, "stats", any, command.target, words));
  if (!sandboxes) return HelpCommand{flags.help()};
  command.sandboxes = *std::move(sandboxes);
  return command;
}

Result<AnyCommand> parse_events(const Words& words) {
  FlagSet flags("events", {"events [OPTIONS] [SANDBOX]"},
                "Follow what happens to sandboxes, snapshots, volumes and keys, or to one sandbox, until Ctrl-C",
                Order::anywhere);
  EventsCommand command;
  flags.value("--after", "ID", command.after,
              "Begin after this event, instead of now; 0: with the oldest that is kept");
  flags.flag("--processes", command.processes, "Also tell of commands that begin and end, from now on");
  add_dockers_event_flags(flags);
  LMSB_TRY(const auto sandbox, parse_sandboxes(flags, "events", {0, 1, "takes one sandbox"}, command.target, words));
  if (!sandbox) return HelpCommand{flags.help()};
  if (!sandbox->empty()) command.sandbox = sandbox->front();
  return command;
}

Result<AnyCommand> parse_watch(const Words& words) {
  FlagSet flags("watch", {"watch [OPTIONS] SANDBOX [DIR]"},
                "Follow what happens in a directory of a sandbox, and below it, until Ctrl-C", Order::anywhere);
  WatchCommand command;
  const SandboxWords wanted{1, 2, "needs a sandbox, and a directory at most"};
  LMSB_TRY(const auto words_of, parse_sandboxes(flags, "watch", wanted, command.target, words));
  if (!words_of) return HelpCommand{flags.help()};
  command.sandbox = words_of->front();
  if (words_of->size() == 2) command.directory = words_of->back();
  return command;
}

}  // namespace lmsb::cli
