// snapshot, snapshot ls, rm, export, import; fork, rollback: words about copies of sandboxes' disks.
#include <charconv>

#include "cli/command_parsers.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

using Order = FlagSet::Order;

constexpr std::uint32_t kMaxForks = 64;

Result<std::uint32_t> parse_fork_count(std::string_view text) {
  std::uint32_t count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error == std::errc() && end == text.data() + text.size() && count >= 1 && count <= kMaxForks) return count;
  return Error(ErrorCode::invalid_argument, "must be a number from 1 to 64");
}

}  // namespace

Result<AnyCommand> parse_snapshot(const Words& words) {
  FlagSet flags("snapshot", {"snapshot [OPTIONS] SANDBOX"},
                "Take a snapshot of a sandbox's disk, and print its id. Its processes stand still for a moment.\n"
                "`create --snapshot` makes sandboxes from it.",
                Order::anywhere);
  SnapshotCommand command;
  std::optional<std::string> name;
  flags.value("--name", "NAME", name, "Name of the snapshot");
  LMSB_TRY(const auto sandbox, parse_sandboxes(flags, "snapshot", {1, 1, "needs a sandbox"}, command.target, words));
  if (!sandbox) return HelpCommand{flags.help()};
  command.sandbox = sandbox->front();
  command.name = name.value_or("");
  return command;
}

Result<AnyCommand> parse_snapshot_list(const Words& words) {
  FlagSet flags("snapshot ls", {"snapshot ls [OPTIONS] [SANDBOX]"}, "List snapshots, of one sandbox or of all",
                Order::anywhere);
  SnapshotListCommand command;
  add_quiet(flags, command.quiet, "Print ids only");
  LMSB_TRY(const auto sandbox,
           parse_sandboxes(flags, "snapshot ls", {0, 1, "takes one sandbox"}, command.target, words));
  if (!sandbox) return HelpCommand{flags.help()};
  if (!sandbox->empty()) command.sandbox = sandbox->front();
  return command;
}

Result<AnyCommand> parse_snapshot_inspect(const Words& words) {
  FlagSet flags("snapshot inspect", {"snapshot inspect [OPTIONS] SNAPSHOT [SNAPSHOT...]"},
                "Show when and of which sandbox snapshots were taken, as JSON", Order::anywhere);
  SnapshotInspectCommand command;
  const SandboxWords wanted{1, SIZE_MAX, "needs a snapshot"};
  LMSB_TRY(auto named, parse_sandboxes(flags, "snapshot inspect", wanted, command.target, words));
  if (!named) return HelpCommand{flags.help()};
  command.snapshots = *std::move(named);
  return command;
}

Result<AnyCommand> parse_snapshot_remove(const Words& words) {
  FlagSet flags("snapshot rm", {"snapshot rm [OPTIONS] SNAPSHOT [SNAPSHOT...]"},
                "Remove snapshots; sandboxes that were made from them stay", Order::anywhere);
  SnapshotRemoveCommand command;
  LMSB_TRY(auto ids, parse_sandboxes(flags, "snapshot rm", {1, SIZE_MAX, "needs a snapshot"}, command.target, words));
  if (!ids) return HelpCommand{flags.help()};
  command.snapshots = *std::move(ids);
  return command;
}

Result<AnyCommand> parse_snapshot_export(const Words& words) {
  FlagSet flags("snapshot export", {"snapshot export [OPTIONS] SNAPSHOT"},
                "Write a snapshot to one file, from which `snapshot import` makes it again, on another machine, too. "
                "The image is not in it: there must be the same there.",
                Order::anywhere);
  SnapshotExportCommand command;
  std::optional<std::string> file;
  flags.value("-o,--output", "FILE", file, "Where to (default SNAPSHOT.lmsnap); - is stdout");
  LMSB_TRY(const auto ids,
           parse_sandboxes(flags, "snapshot export", {1, 1, "needs a snapshot"}, command.target, words));
  if (!ids) return HelpCommand{flags.help()};
  command.snapshot = ids->front();
  command.file = file.value_or("");
  return command;
}

Result<AnyCommand> parse_snapshot_import(const Words& words) {
  FlagSet flags("snapshot import", {"snapshot import [OPTIONS] FILE"},
                "Make a snapshot from a file that `snapshot export` wrote, and print its id; - is stdin.",
                Order::anywhere);
  SnapshotImportCommand command;
  std::optional<std::string> name;
  std::optional<std::string> disk;
  flags.value("--name", "NAME", name, "Name of the snapshot (default as in the file)");
  flags.value("--disk", "SIZE", disk, "Limit of what it holds, and of what is made from it (default as in the file)");
  LMSB_TRY(const auto files, parse_sandboxes(flags, "snapshot import", {1, 1, "needs a file"}, command.target, words));
  if (!files) return HelpCommand{flags.help()};
  LMSB_CHECK(convert("--disk", disk, parse_size, command.disk));
  command.file = files->front();
  command.name = name.value_or("");
  return command;
}

Result<AnyCommand> parse_fork(const Words& words) {
  FlagSet flags(
      "fork", {"fork [OPTIONS] SANDBOX"},
      "Make sandboxes that begin with a copy of a sandbox's disk, and print their ids. Processes are not copied.",
      Order::anywhere);
  ForkCommand command;
  std::optional<std::string> count;
  flags.value("-n,--count", "NUMBER", count, "So many, all of one moment (default 1, at most 64)");
  LMSB_TRY(const auto sandbox, parse_sandboxes(flags, "fork", {1, 1, "needs a sandbox"}, command.target, words));
  if (!sandbox) return HelpCommand{flags.help()};
  LMSB_CHECK(convert("--count", count, parse_fork_count, command.count));
  command.sandbox = sandbox->front();
  return command;
}

Result<AnyCommand> parse_rollback(const Words& words) {
  FlagSet flags("rollback", {"rollback [OPTIONS] SANDBOX SNAPSHOT"},
                "Put a sandbox's disk back to what it was in one of its snapshots. Its processes are killed.",
                Order::anywhere);
  RollbackCommand command;
  LMSB_TRY(const auto both,
           parse_sandboxes(flags, "rollback", {2, 2, "needs a sandbox and a snapshot"}, command.target, words));
  if (!both) return HelpCommand{flags.help()};
  command.sandbox = both->front();
  command.snapshot = both->back();
  return command;
}

}  // namespace lmsb::cli
