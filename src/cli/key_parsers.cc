// key create, ls, rm: their words.
#include "cli/command_parsers.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

using Order = FlagSet::Order;

// The quota; the texts are parsed after all have been read.
struct QuotaTexts {
  std::optional<std::string> requests, sandboxes, memory, cpus, disk;
};

void add_quota_flags(FlagSet& flags, QuotaTexts& texts) {
  flags.value("--requests", "NUMBER", texts.requests, "Requests a minute that it may make");
  flags.value("--sandboxes", "NUMBER", texts.sandboxes, "Sandboxes that it may have at a time");
  flags.value("-m,--memory", "SIZE", texts.memory, "Memory that those which run may have together");
  flags.value("--cpus", "NUMBER", texts.cpus, "CPUs that those which run may have together");
  flags.value("--disk", "SIZE", texts.disk, "Disk that its sandboxes, volumes and snapshots may have");
}

// Nothing: it does not end. What is no time at all is not taken for that.
Result<std::optional<std::chrono::seconds>> parse_expiry(std::string_view text) {
  if (text == "none") return std::optional<std::chrono::seconds>();
  LMSB_TRY(const auto life, parse_life(text));
  if (life.count() > 0) return std::optional(std::chrono::ceil<std::chrono::seconds>(life));
  return Error(ErrorCode::invalid_argument, "a key that opens nothing is no use")
      .with_hint("write 30d, or none for one that is there until it is removed");
}

Status read_quota(const QuotaTexts& texts, KeyCreateCommand& command) {
  LMSB_CHECK(convert("--requests", texts.requests, parse_count, command.requests_per_minute));
  LMSB_CHECK(convert("--sandboxes", texts.sandboxes, parse_count, command.sandboxes));
  LMSB_CHECK(convert("--memory", texts.memory, parse_size, command.memory));
  LMSB_CHECK(convert("--cpus", texts.cpus, parse_cpus, command.cpu_millis));
  return convert("--disk", texts.disk, parse_size, command.disk);
}

}  // namespace

Result<AnyCommand> parse_key_create(const Words& words) {
  FlagSet flags("key create", {"key create [OPTIONS] [NAME]"},
                "Make an API key and print it: it is not shown again. For administrators.\n"
                "It sees what it makes itself; with the scope admin, what everybody has.",
                Order::anywhere);
  KeyCreateCommand command;
  QuotaTexts quota;
  std::optional<std::string> expires;
  Words labels;
  flags.values("--scope", "SCOPE", command.scopes, "read, write, models or admin (default: write and models)");
  flags.values("--label", "KEY=VALUE", labels, "See only what has the label, and give it to what it makes");
  flags.value("--expires", "TIME", expires, "How long it opens anything (default: none, until it is removed)");
  add_quota_flags(flags, quota);
  LMSB_TRY(const auto name, parse_sandboxes(flags, "key create", {0, 1, "takes one name"}, command.target, words));
  if (!name) return HelpCommand{flags.help()};
  for (const std::string& label : labels) LMSB_CHECK(add_label(command.labels, label));
  LMSB_CHECK(read_quota(quota, command));
  LMSB_CHECK(convert("--expires", expires, parse_expiry, command.life));
  if (!name->empty()) command.name = name->front();
  return command;
}

Result<AnyCommand> parse_key_list(const Words& words) {
  FlagSet flags("key ls", {"key ls [OPTIONS]"}, "List API keys, but for those of the configuration", Order::anywhere);
  KeyListCommand command;
  add_quiet(flags, command.quiet, "Print ids only");
  LMSB_TRY(const auto none, parse_sandboxes(flags, "key ls", {0, 0, "takes no words"}, command.target, words));
  if (!none) return HelpCommand{flags.help()};
  return command;
}

Result<AnyCommand> parse_key_remove(const Words& words) {
  FlagSet flags("key rm", {"key rm [OPTIONS] KEY [KEY...]"},
                "Revoke API keys, by id or name: they open nothing any more, and what they have open ends.\n"
                "Their sandboxes stay.",
                Order::anywhere);
  KeyRemoveCommand command;
  flags.flag("-f,--force", command.force, "One that is not there is fine");
  LMSB_TRY(auto keys,
           parse_sandboxes(flags, "key rm", {1, SIZE_MAX, "needs the id or name of a key"}, command.target, words));
  if (!keys) return HelpCommand{flags.help()};
  command.keys = *std::move(keys);
  return command;
}

}  // namespace lmsb::cli
