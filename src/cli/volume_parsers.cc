// volume create, ls, inspect, update, rm: words about directories that sandboxes share.
#include "cli/command_parsers.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

using Order = FlagSet::Order;

constexpr const char* kNeedsOne = "needs the id or name of a volume";

}  // namespace

Result<AnyCommand> parse_volume_create(const Words& words) {
  FlagSet flags("volume create", {"volume create [OPTIONS] [NAME]"},
                "Make a volume, a directory that sandboxes share and that outlives them, and print its id.\n"
                "`-v NAME:/DIR` of run and create mounts it, and makes it when it is not there.",
                Order::anywhere);
  VolumeCreateCommand command;
  std::optional<std::string> size;
  Words labels;
  flags.value("--size", "SIZE", size, "What it may hold (default 10g)");
  flags.values("--label", "KEY=VALUE", labels, "Label of the volume");
  LMSB_TRY(const auto name, parse_sandboxes(flags, "volume create", {0, 1, "takes one name"}, command.target, words));
  if (!name) return HelpCommand{flags.help()};
  LMSB_CHECK(convert("--size", size, parse_size, command.size));
  for (const std::string& label : labels) LMSB_CHECK(add_label(command.labels, label));
  if (!name->empty()) command.name = name->front();
  return command;
}

Result<AnyCommand> parse_volume_list(const Words& words) {
  FlagSet flags("volume ls", {"volume ls [OPTIONS]"}, "List volumes", Order::anywhere);
  VolumeListCommand command;
  add_quiet(flags, command.quiet, "Print ids only");
  LMSB_TRY(const auto none, parse_sandboxes(flags, "volume ls", {0, 0, "takes no words"}, command.target, words));
  if (!none) return HelpCommand{flags.help()};
  return command;
}

Result<AnyCommand> parse_volume_inspect(const Words& words) {
  FlagSet flags("volume inspect", {"volume inspect [OPTIONS] VOLUME [VOLUME...]"},
                "Show what volumes hold, and which sandboxes have them, as JSON", Order::anywhere);
  VolumeInspectCommand command;
  LMSB_TRY(auto volumes, parse_sandboxes(flags, "volume inspect", {1, SIZE_MAX, kNeedsOne}, command.target, words));
  if (!volumes) return HelpCommand{flags.help()};
  command.volumes = *std::move(volumes);
  return command;
}

Result<AnyCommand> parse_volume_update(const Words& words) {
  FlagSet flags("volume update", {"volume update [OPTIONS] VOLUME"},
                "Change what a volume may hold, and its labels. What it holds already stays.", Order::anywhere);
  VolumeUpdateCommand command;
  std::optional<std::string> size;
  Words labels;
  flags.value("--size", "SIZE", size, "What it may hold");
  flags.values("--label", "KEY=VALUE", labels, "Set a label");
  flags.values("--no-label", "KEY", command.gone_labels, "Take a label away");
  LMSB_TRY(const auto volume, parse_sandboxes(flags, "volume update", {1, 1, kNeedsOne}, command.target, words));
  if (!volume) return HelpCommand{flags.help()};
  LMSB_CHECK(convert("--size", size, parse_size, command.size));
  for (const std::string& label : labels) LMSB_CHECK(add_label(command.labels, label));
  for (const std::string& name : command.gone_labels) command.labels.erase(name);
  if (!command.size && command.labels.empty() && command.gone_labels.empty())
    return usage_error("volume update", "changes nothing: give --size, --label or --no-label");
  command.volume = volume->front();
  return command;
}

Result<AnyCommand> parse_volume_remove(const Words& words) {
  FlagSet flags("volume rm", {"volume rm [OPTIONS] VOLUME [VOLUME...]"},
                "Remove volumes with all that is in them; those that a sandbox has, be it a stopped one, stay",
                Order::anywhere);
  VolumeRemoveCommand command;
  flags.flag("-f,--force", command.force, "One that is not there is fine");
  LMSB_TRY(auto volumes, parse_sandboxes(flags, "volume rm", {1, SIZE_MAX, kNeedsOne}, command.target, words));
  if (!volumes) return HelpCommand{flags.help()};
  command.volumes = *std::move(volumes);
  return command;
}

}  // namespace lmsb::cli
