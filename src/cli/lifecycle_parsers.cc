// pause, resume, update, stats, events: words about the lives of sandboxes.
#include <algorithm>

#include "cli/command_parsers.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

using Order = FlagSet::Order;

bool any_empty(const Words& words) {
  return std::any_of(words.begin(), words.end(), [](const std::string& word) { return word.empty(); });
}

Result<AnyCommand> parse_state(const std::string& verb, const std::string& summary, const Words& words) {
  FlagSet flags(verb, {verb + " [OPTIONS] SANDBOX [SANDBOX...]"}, summary, Order::anywhere);
  std::optional<std::string> host;
  StateCommand command;
  command.verb = verb;
  add_target(flags, host);
  flags.flag("--json", command.target.json, "Print JSON, one sandbox a line");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.empty() || any_empty(parsed.words)) return usage_error(verb, "needs the id or name of a sandbox");
  command.target.host = host.value_or("");
  command.sandboxes = std::move(parsed.words);
  return command;
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

Result<AnyCommand> parse_update(const Words& words) {
  FlagSet flags("update", {"update [OPTIONS] SANDBOX"}, "Change labels of a sandbox, and how long it lives",
                Order::anywhere);
  std::optional<std::string> host;
  LifeTexts life;
  Words labels;
  UpdateCommand command;
  add_target(flags, host);
  add_life_flags(flags, life);
  flags.values("--label", "KEY=VALUE", labels, "Set a label");
  flags.values("--no-label", "KEY", command.gone_labels, "Take a label away");
  flags.flag("--json", command.target.json, "Print JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.size() != 1 || any_empty(parsed.words)) return usage_error("update", "needs a sandbox");
  for (const std::string& label : labels) LMSB_CHECK(add_label(command.labels, label));
  for (const std::string& name : command.gone_labels) command.labels.erase(name);
  LMSB_TRY(command.life, life_flags(life));
  const bool says_life = life.timeout || life.idle || life.on_timeout || life.on_idle;
  if (!says_life && command.labels.empty() && command.gone_labels.empty())
    return usage_error("update", "nothing to change");
  command.target.host = host.value_or("");
  command.sandbox = parsed.words.front();
  return command;
}

Result<AnyCommand> parse_stats(const Words& words) {
  FlagSet flags("stats", {"stats [OPTIONS] [SANDBOX...]"}, "Show what sandboxes use now: those named, else all",
                Order::anywhere);
  std::optional<std::string> host;
  StatsCommand command;
  add_target(flags, host);
  flags.flag("--json", command.target.json, "Print JSON, one sandbox a line");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (any_empty(parsed.words)) return usage_error("stats", "takes ids and names of sandboxes");
  command.target.host = host.value_or("");
  command.sandboxes = std::move(parsed.words);
  return command;
}

Result<AnyCommand> parse_events(const Words& words) {
  FlagSet flags("events", {"events [OPTIONS] [SANDBOX]"},
                "Follow what happens to sandboxes, to one or to all, until Ctrl-C", Order::anywhere);
  std::optional<std::string> host;
  EventsCommand command;
  add_target(flags, host);
  flags.flag("--json", command.target.json, "Print JSON, one event a line");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.size() > 1) return usage_error("events", "takes one sandbox");
  command.target.host = host.value_or("");
  if (!parsed.words.empty()) command.sandbox = parsed.words.front();
  return command;
}

}  // namespace lmsb::cli
