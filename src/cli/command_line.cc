#include "cli/command_line.h"

#include "base/text.h"
#include "cli/command_table.h"

namespace lmsb::cli {
namespace {

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
        .with_hint("see lm-sandbox --help");
  }
  const auto near = nearest(words[0], known);
  return Error(ErrorCode::invalid_argument,
               "unknown command " + lmsb::quoted(words[0]) + (near ? ", perhaps " + *near : ""))
      .with_hint("see lm-sandbox --help");
}

Result<AnyCommand> parse_named(Words words) {
  const auto [entry, count] = find_command(words);
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
  if (parsed.help || parsed.words.empty()) return OverviewCommand{};
  if (parsed.words.front() == "help") {
    parsed.words.erase(parsed.words.begin());
    if (parsed.words.empty()) return OverviewCommand{};
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
