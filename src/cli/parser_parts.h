#pragma once
// What the parsers of several commands have in common. Private to the parsers.
#include <cstdint>
#include <optional>
#include <string>

#include "cli/command_line.h"
#include "cli/flag_set.h"

namespace lmsb::cli {

// invalid_argument that names the command and its help.
Error usage_error(const std::string& command, std::string message);

void add_target(FlagSet& flags, HostFlags& host);
// The same of a command that starts a private daemon where none runs.
void add_private_target(FlagSet& flags, HostFlags& host, std::optional<std::string>& data_dir);
Target target_of(const HostFlags& host, bool json, const std::optional<std::string>& data_dir = {});
// -q of a command that lists, which prints a word a line: not with --json.
void add_quiet(FlagSet& flags, bool& quiet, const std::string& help);
void add_place(FlagSet& flags, std::optional<std::string>& cwd, std::optional<std::string>& user);

// Whether one of them is no word.
bool any_empty(const Words& words);

// Parses the words of a command that has --host, --json, what was added to `flags` before, and sandboxes: from `least`
// to `most`. Nothing: its help is asked for. Error: usage, which says `need`.
struct SandboxWords {
  std::size_t least = 1;
  std::size_t most = SIZE_MAX;
  std::string need = "needs the id or name of a sandbox";
};
Result<std::optional<Words>> parse_sandboxes(FlagSet& flags, const std::string& command, const SandboxWords& wanted,
                                             Target& target, const Words& words);

// How long a sandbox lives; the texts are parsed after all have been read.
struct LifeTexts {
  std::optional<std::string> timeout, idle, on_timeout, on_idle;
};
void add_life_flags(FlagSet& flags, LifeTexts& texts);
Result<LifeFlags> life_flags(const LifeTexts& texts);

// How much of the machine a sandbox may have, but for its disk.
struct LimitTexts {
  std::optional<std::string> memory, cpus, processes;
};
void add_limit_flags(FlagSet& flags, LimitTexts& texts);
Result<LimitFlags> limit_flags(const LimitTexts& texts);

// Flags of what is to be started, whose text is parsed after all have been read.
struct ProcessTexts {
  std::optional<std::string> cwd, user, timeout;
  bool interactive = false;
  bool merge_stderr = false;
};
void add_process_flags(FlagSet& flags, ProcessTexts& texts);
Result<ProcessFlags> process_flags(const ProcessTexts& texts, Words command);

// Parses the text of one flag, if it was given, into its place. The error names the flag.
template <class T, class Place>
Status convert(const std::string& flag, const std::optional<std::string>& text, Result<T> (*parse)(std::string_view),
               Place& place) {
  if (!text) return {};
  auto value = parse(*text);
  if (!value.ok()) return std::move(value).error().with_context(flag);
  place = *std::move(value);
  return {};
}

}  // namespace lmsb::cli
