#pragma once
// command_table: every command of the program, and the flags that stand before one. Pure.
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "cli/command_line.h"
#include "cli/flag_set.h"
#include "cli/manual.h"

namespace lmsb::cli {

struct CommandEntry {
  std::string_view name;   // one or two words
  std::string_view group;  // where the overview shows it; "" = an alias, or nothing for people
  std::string_view summary;
  Result<AnyCommand> (*parse)(const Words&);
};

// By group. They live as long as the program.
std::span<const CommandEntry> commands();

// The entry that the first one or two words name, and how many words that took; nullptr when there is none.
std::pair<const CommandEntry*, std::size_t> find_command(const Words& words);

// What its --help says. Of a command whose flags another program knows, only how it is called.
Manual manual_of(const CommandEntry& entry);

// The flags before a command.
struct ProgramFlags {
  ProgramFlags();
  HostFlags host;
  bool version = false;
  FlagSet set;
};

// What `lm-sandbox --help` says; with `of` what `lm-sandbox OF --help` does, of the commands that begin with this word.
std::string overview(std::string_view of = {});

}  // namespace lmsb::cli
