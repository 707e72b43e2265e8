#include "cli/command_table.h"

#include <array>

#include "cli/command_parsers.h"
#include "cli/parser_parts.h"

namespace lmsb::cli {
namespace {

constexpr std::array<CommandEntry, 65> kCommands{{
    {"run", "Sandboxes", "Run a command in a fresh sandbox", parse_run},
    {"create", "Sandboxes", "Create a sandbox that is kept", parse_create},
    {"exec", "Sandboxes", "Run a command in a sandbox that exists", parse_exec},
    {"shell", "Sandboxes", "Open a shell in a sandbox that exists", parse_shell},
    {"cp", "Sandboxes", "Copy files into a sandbox, or out of it", parse_copy},
    {"watch", "Sandboxes", "Follow what happens in a directory of a sandbox", parse_watch},
    {"port", "Sandboxes", "List the ports of a sandbox, or lead one here", parse_port},
    {"ls", "Sandboxes", "List sandboxes", parse_list},
    {"ps", "", "", parse_list},
    {"inspect", "Sandboxes", "Show all that is known of sandboxes", parse_inspect},
    {"pause", "Sandboxes", "Let the processes of a sandbox stand still", parse_pause},
    {"resume", "Sandboxes", "Let them go on", parse_resume},
    {"stop", "Sandboxes", "End processes, keep disks", parse_stop},
    {"start", "Sandboxes", "Start stopped ones again", parse_start},
    {"restart", "Sandboxes", "Stop sandboxes and start them again", parse_restart},
    {"snapshot", "Sandboxes", "Take a snapshot of a disk", parse_snapshot},
    {"snapshot ls", "Sandboxes", "List snapshots", parse_snapshot_list},
    {"snapshot inspect", "Sandboxes", "Show snapshots", parse_snapshot_inspect},
    {"snapshot rm", "Sandboxes", "Remove snapshots", parse_snapshot_remove},
    {"snapshot export", "Sandboxes", "Write a snapshot to a file", parse_snapshot_export},
    {"snapshot import", "Sandboxes", "Make a snapshot from such a file", parse_snapshot_import},
    {"fork", "Sandboxes", "Make copies of a sandbox", parse_fork},
    {"rollback", "Sandboxes", "Put a disk back to a snapshot", parse_rollback},
    {"volume create", "Sandboxes", "Make a volume that sandboxes share", parse_volume_create},
    {"volume ls", "Sandboxes", "List volumes", parse_volume_list},
    {"volume inspect", "Sandboxes", "Show volumes and who has them", parse_volume_inspect},
    {"volume update", "Sandboxes", "Change the size and the labels of a volume", parse_volume_update},
    {"volume rm", "Sandboxes", "Remove volumes", parse_volume_remove},
    {"update", "Sandboxes", "Change labels, limits, network and life", parse_update},
    {"stats", "Sandboxes", "Show what sandboxes use", parse_stats},
    {"events", "Sandboxes", "Follow what happens to sandboxes", parse_events},
    {"rm", "Sandboxes", "End and remove sandboxes", parse_remove},
    {"top", "Processes", "List the processes of a sandbox", parse_top},
    {"logs", "Processes", "Print the output of a detached process", parse_logs},
    {"attach", "Processes", "Follow a detached process to its end", parse_attach},
    {"wait", "Processes", "Wait for detached processes, and print how they ended", parse_wait},
    {"kill", "Processes", "Send a signal to processes", parse_kill},
    {"session ls", "Processes", "List the shell sessions of a sandbox", parse_session_list},
    {"session rm", "Processes", "End shell sessions", parse_session_remove},
    {"image build", "Images and models", "Make a built-in image", parse_image_build},
    {"image ls", "Images and models", "List images", parse_image_list},
    {"image rm", "Images and models", "Remove an image", parse_image_remove},
    {"model pull", "Images and models", "Take a model into the store", parse_model_pull},
    {"model ls", "Images and models", "List models", parse_model_list},
    {"model show", "Images and models", "Show what a model is and what it needs", parse_model_show},
    {"model ps", "Images and models", "List loaded models", parse_model_processes},
    {"model load", "Images and models", "Have a model loaded", parse_model_load},
    {"model unload", "Images and models", "Let models go", parse_model_unload},
    {"model rm", "Images and models", "Remove models", parse_model_remove},
    {"chat", "Images and models", "Talk to a model", parse_chat},
    {"env", "Images and models", "Lead other programs to the models", parse_env},
    {"serve", "Daemon", "Serve the HTTP API", parse_serve},
    {"key create", "Daemon", "Make an API key", parse_key_create},
    {"key ls", "Daemon", "List API keys", parse_key_list},
    {"key rm", "Daemon", "Revoke API keys", parse_key_remove},
    {"doctor", "Daemon", "Say what works here and how to mend the rest", parse_doctor},
    {"verify", "Daemon", "Send the original's three requests", parse_verify},
    {"bench", "Daemon", "Measure this machine", parse_bench},
    {"config show", "Daemon", "Print the settings in force", parse_config_show},
    {"config check", "Daemon", "Check the configuration", parse_config_check},
    {"config example", "Daemon", "Print a complete configuration", parse_config_example},
    {"completion", "Daemon", "Print what lets a shell complete commands", parse_completion},
    {"__complete", "", "", parse_complete},
    {"man", "Daemon", "Print a manual page", parse_man},
    {"version", "Daemon", "Print the version", parse_version},
}};

}  // namespace

ProgramFlags::ProgramFlags()
    : set("", {"[--host URL] [--ca FILE] COMMAND"}, "Isolated Linux sandboxes and local language models behind one API",
          FlagSet::Order::first) {
  add_target(set, host);
  set.flag("--version", version, "Print the version");
}

std::span<const CommandEntry> commands() { return kCommands; }

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

Manual manual_of(const CommandEntry& entry) {
  const auto command = entry.parse({"--help"});
  if (command.ok()) {
    if (const auto* help = std::get_if<HelpCommand>(&*command)) return help->manual;
  }
  const std::string name(entry.name);
  return {name, {name + " [ARG...]"}, std::string(entry.summary), {}};
}

std::string overview(std::string_view of) {
  const Manual program = ProgramFlags().set.help();
  std::string text = "Usage:  lm-sandbox ";
  text += of.empty() ? program.usage.front() + "\n\n" + program.summary + "\n" : std::string(of) + " COMMAND\n";
  std::string_view group;
  for (const CommandEntry& entry : kCommands) {
    const bool is_meant = of.empty() || entry.name.starts_with(std::string(of) + " ");
    if (entry.group.empty() || !is_meant) continue;
    if (entry.group != group) text += "\n" + std::string(entry.group) + ":\n";
    group = entry.group;
    text +=
        "  " + std::string(entry.name) + std::string(17 - entry.name.size(), ' ') + std::string(entry.summary) + "\n";
  }
  return text + "\nRun 'lm-sandbox " + (of.empty() ? "" : std::string(of) + " ") +
         "COMMAND --help' for more about a command.\n";
}

}  // namespace lmsb::cli
