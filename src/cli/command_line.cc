#include "cli/command_line.h"

#include <array>

#include "base/text.h"
#include "cli/command_parsers.h"

namespace lmsb::cli {
namespace {

struct CommandEntry {
  std::string_view name;  // one or two words
  std::string_view group;
  std::string_view summary;
  Result<AnyCommand> (*parse)(const Words&);
};

constexpr std::array<CommandEntry, 33> kCommands{{
    {"run", "Sandboxes", "Run a command in a fresh sandbox", parse_run},
    {"create", "Sandboxes", "Create a sandbox that is kept", parse_create},
    {"exec", "Sandboxes", "Run a command in a sandbox that exists", parse_exec},
    {"shell", "Sandboxes", "Open a shell in a sandbox that exists", parse_shell},
    {"cp", "Sandboxes", "Copy files into a sandbox, or out of it", parse_copy},
    {"ls", "Sandboxes", "List sandboxes", parse_list},
    {"ps", "", "", parse_list},
    {"pause", "Sandboxes", "Let the processes of a sandbox stand still", parse_pause},
    {"resume", "Sandboxes", "Let them go on", parse_resume},
    {"stop", "Sandboxes", "End processes, keep disks", parse_stop},
    {"start", "Sandboxes", "Start stopped ones again", parse_start},
    {"update", "Sandboxes", "Change labels and the limits of its life", parse_update},
    {"stats", "Sandboxes", "Show what sandboxes use", parse_stats},
    {"events", "Sandboxes", "Follow what happens to sandboxes", parse_events},
    {"rm", "Sandboxes", "End and remove sandboxes", parse_remove},
    {"top", "Processes", "List the detached processes of a sandbox", parse_top},
    {"logs", "Processes", "Print the output of a detached process", parse_logs},
    {"attach", "Processes", "Follow a detached process to its end", parse_attach},
    {"kill", "Processes", "Send a signal to detached processes", parse_kill},
    {"image build", "Images and models", "Make a built-in image (needs root)", parse_image_build},
    {"image ls", "Images and models", "List images", parse_image_list},
    {"image rm", "Images and models", "Remove an image (needs root)", parse_image_remove},
    {"model pull", "Images and models", "Take a model into the store", parse_model_pull},
    {"model ls", "Images and models", "List models", parse_model_list},
    {"chat", "Images and models", "Talk to a model", parse_chat},
    {"serve", "Daemon", "Serve the HTTP API", parse_serve},
    {"doctor", "Daemon", "Say what works here and how to mend the rest", parse_doctor},
    {"verify", "Daemon", "Send the original's three requests", parse_verify},
    {"bench", "Daemon", "Measure this machine", parse_bench},
    {"config show", "Daemon", "Print the settings in force", parse_config_show},
    {"config check", "Daemon", "Check the configuration", parse_config_check},
    {"config example", "Daemon", "Print a complete configuration", parse_config_example},
    {"version", "Daemon", "Print the version", parse_version},
}};

std::string general_help() {
  std::string text =
      "Usage:  lm-sandbox [--host URL] COMMAND\n\n"
      "Isolated Linux sandboxes and local language models behind one API\n";
  std::string_view group;
  for (const CommandEntry& entry : kCommands) {
    if (entry.group.empty()) continue;
    if (entry.group != group) text += "\n" + std::string(entry.group) + ":\n";
    group = entry.group;
    text +=
        "  " + std::string(entry.name) + std::string(17 - entry.name.size(), ' ') + std::string(entry.summary) + "\n";
  }
  return text + "\nRun 'lm-sandbox COMMAND --help' for more about a command.\n";
}

// The entry that the first one or two words name, and how many words that took.
std::pair<const CommandEntry*, std::size_t> find_command(const Words& words) {
  for (const std::size_t count : {std::size_t{2}, std::size_t{1}}) {
    if (words.size() < count) continue;
    const std::string name = count == 2 ? words[0] + " " + words[1] : words[0];
    for (const CommandEntry& entry : kCommands) {
      if (entry.name == name) return {&entry, count};
    }
  }
  return {nullptr, 0};
}

// "image" alone, or with a word that is no command of that group.
Error unknown_command(const Words& words) {
  Words known;
  std::string of_group;
  for (const CommandEntry& entry : kCommands) {
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

// Sets the host of a command that has a target and none of its own.
void set_default_host(AnyCommand& command, const std::string& host) {
  std::visit(
      [&host](auto& value) {
        if constexpr (requires { value.target; }) {
          if (value.target.host.empty()) value.target.host = host;
        }
      },
      command);
}

}  // namespace

Result<AnyCommand> parse_command_line(const Words& words) {
  FlagSet flags("", {"[--host URL] COMMAND"}, "", FlagSet::Order::first);
  std::optional<std::string> host;
  bool version = false;
  flags.value("--host", "URL", host, "Daemon to ask");
  flags.flag("--version", version, "Print the version");
  LMSB_TRY(auto parsed, flags.parse(words));
  if (version) return VersionCommand{};
  if (parsed.help || parsed.words.empty()) return HelpCommand{general_help()};
  if (parsed.words.front() == "help") {
    parsed.words.erase(parsed.words.begin());
    if (parsed.words.empty()) return HelpCommand{general_help()};
    parsed.words.emplace_back("--help");
  }
  LMSB_TRY(auto command, parse_named(std::move(parsed.words)));
  set_default_host(command, host.value_or(""));
  return command;
}

bool ends_as_a_command_does(const Words& words) {
  // Only --host may stand before the command.
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--host") {
      ++i;
    } else if (!words[i].starts_with("-")) {
      return words[i] == "run" || words[i] == "exec" || words[i] == "shell" || words[i] == "attach";
    }
  }
  return false;
}

}  // namespace lmsb::cli
