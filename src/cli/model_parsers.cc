// model show, model rm: words about models that are there.
#include "cli/command_parsers.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

using Order = FlagSet::Order;

}  // namespace

Result<AnyCommand> parse_model_show(const Words& words) {
  FlagSet flags("model show", {"model show [OPTIONS] MODEL"},
                "Show what a model is, and what memory it takes to serve it", Order::anywhere);
  HostFlags host;
  std::optional<std::string> data_dir;
  ModelShowCommand command;
  add_private_target(flags, host, data_dir);
  flags.flag("--json", command.target.json, "Print JSON, with all that is known of it");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.size() != 1 || any_empty(parsed.words))
    return usage_error("model show", "needs the name of a model");
  command.target = target_of(host, command.target.json, data_dir);
  command.model = parsed.words.front();
  return command;
}

Result<AnyCommand> parse_model_remove(const Words& words) {
  FlagSet flags(
      "model rm", {"model rm [OPTIONS] MODEL [MODEL...]"},
      "Remove models from the store; one that is loaded is let go when it has given the answers that it is at",
      Order::anywhere);
  HostFlags host;
  std::optional<std::string> data_dir;
  ModelRemoveCommand command;
  add_private_target(flags, host, data_dir);
  flags.flag("-f,--force", command.force, "One that is not there is fine");
  flags.flag("--json", command.target.json, "Print JSON");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (parsed.help) return HelpCommand{flags.help()};
  if (parsed.words.empty() || any_empty(parsed.words)) return usage_error("model rm", "needs the name of a model");
  command.target = target_of(host, command.target.json, data_dir);
  command.models = std::move(parsed.words);
  return command;
}

}  // namespace lmsb::cli
