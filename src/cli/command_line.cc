#include "cli/command_line.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.h"
#include "cli/command_table.h"

namespace lmsb::cli {
namespace {

// What users of Docker type that is called otherwise here, or done otherwise.
struct DockersCommand {
  std::string_view name;
  std::string_view instead;
};
constexpr std::array<DockersCommand, 22> kDockersCommands{{
    {"build", "image build makes the built-in images"},
    {"commit", "snapshot keeps the disk of a sandbox, and create --snapshot begins with it"},
    {"compose", "create makes sandboxes one by one, and volume create what they share"},
    {"container", "leave the word out: lm-sandbox ls, inspect, rm"},
    {"diff", "exec SANDBOX find / -xdev -newermt DATE lists what was changed"},
    {"export", "cp SANDBOX:PATH - writes a directory as a tar archive, snapshot export a whole disk"},
    {"history", "image ls lists images"},
    {"images", "image ls lists images"},
    {"import", "snapshot import takes what snapshot export wrote"},
    {"info", "doctor says what works here, and version which version it is"},
    {"load", "image build makes the built-in images, and snapshot import takes a disk"},
    {"login", "there is no registry to log in to; LM_SANDBOX_API_KEY is the key for a daemon"},
    {"network", "run, create and update take --network none|open|HOST,..."},
    {"prune", "ls --state stopped -q lists what rm can take"},
    {"pull", "image build makes the built-in images; model pull takes models"},
    {"push", "there is no registry; snapshot export writes a disk to a file"},
    {"rename", "a sandbox keeps the name it was made with; update --label can mark it"},
    {"rmi", "image rm removes an image"},
    {"save", "snapshot export writes the disk of a sandbox to a file"},
    {"system", "doctor says what works here, and doctor --ledger what is in use"},
    {"tag", "images keep their names; snapshot --name names a disk"},
    {"unpause", "resume lets a paused sandbox go on"},
}};

std::optional<Error> dockers_command(const std::string& word) {
  for (const DockersCommand& command : kDockersCommands) {
    if (command.name != word) continue;
    return Error(ErrorCode::invalid_argument, "there is no command " + lmsb::quoted(word) + " here")
        .with_hint(std::string(command.instead));
  }
  return std::nullopt;
}

// "image --help".
bool asks_for_group(const Words& words) {
  const auto is_of_group = [&words](const CommandEntry& entry) { return entry.name.starts_with(words[0] + " "); };
  const bool is_group = std::any_of(commands().begin(), commands().end(), is_of_group);
  return is_group && words.size() == 2 && (words[1] == "--help" || words[1] == "-h");
}

// "image" alone, or with a word that is no command of that group.
Error unknown_command(const Words& words) {
  Words known;
  std::string of_group;
  for (const CommandEntry& entry : commands()) {
    known.emplace_back(entry.name);
    if (!entry.name.starts_with(words[0] + " ")) continue;
    of_group += (of_group.empty() ? "" : ", ") + std::string(entry.name.substr(words[0].size() + 1));
  }
  if (!of_group.empty()) {
    return Error(ErrorCode::invalid_argument, words[0] + ": say which of: " + of_group)
        .with_hint("see lm-sandbox " + words[0] + " --help");
  }
  if (auto known_elsewhere = dockers_command(words[0])) return *std::move(known_elsewhere);
  const auto near = nearest(words[0], known);
  return Error(ErrorCode::invalid_argument,
               "unknown command " + lmsb::quoted(words[0]) + (near ? ", perhaps " + *near : ""))
      .with_hint("see lm-sandbox --help");
}

Result<AnyCommand> parse_named(Words words) {
  const auto [entry, count] = find_command(words);
  if (entry == nullptr && asks_for_group(words)) return OverviewCommand{words[0]};
  if (entry == nullptr) return unknown_command(words);
  words.erase(words.begin(), words.begin() + static_cast<Words::difference_type>(count));
  return entry->parse(words);
}

// Sets what a command that has a target does not say of it itself.
void set_default_host(AnyCommand& command, const HostFlags& before) {
  std::visit(
      [&before](auto& value) {
        if constexpr (requires { value.target; }) {
          if (value.target.host.empty()) value.target.host = before.host.value_or("");
          if (!value.target.ca) value.target.ca = before.ca;
        }
      },
      command);
}

}  // namespace

Result<AnyCommand> parse_command_line(const Words& words) {
  ProgramFlags program;
  LMSB_TRY(auto parsed, program.set.parse(words));
  if (program.version) return VersionCommand{};
  if (parsed.help || parsed.words.empty()) return OverviewCommand();
  if (parsed.words.front() == "help") {
    parsed.words.erase(parsed.words.begin());
    if (parsed.words.empty()) return OverviewCommand();
    parsed.words.emplace_back("--help");
  }
  LMSB_TRY(auto command, parse_named(std::move(parsed.words)));
  set_default_host(command, program.host);
  return command;
}

bool ends_as_a_command_does(const Words& words) {
  // Only --host and --ca may stand before the command.
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--host" || words[i] == "--ca") {
      ++i;
    } else if (!words[i].starts_with("-")) {
      return words[i] == "run" || words[i] == "exec" || words[i] == "shell" || words[i] == "attach";
    }
  }
  return false;
}

}  // namespace lmsb::cli
