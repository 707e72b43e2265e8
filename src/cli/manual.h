#pragma once
// Manual: what is to be said about one command, as data. Its help text, its manual page and what a shell offers while
// it is typed are all made from this one. Pure.
#include <string>
#include <vector>

#include "base/result.h"

namespace lmsb::cli {

using Words = std::vector<std::string>;

struct FlagHelp {
  std::string short_name;  // "-e" or empty
  std::string long_name;   // "--env"
  // "" of a flag without one; "FILE", "KEY=VALUE"; in lower case it is what may be given: "text|json".
  std::string value_name;
  std::string help;
};

struct Manual {
  std::string command;          // one or two words
  Words usage;                  // behind "lm-sandbox ", one or more lines: "rm [OPTIONS] SANDBOX [SANDBOX...]"
  std::string summary;          // one or more lines
  std::vector<FlagHelp> flags;  // by their long names
};

// As `docker COMMAND --help` lays it out.
std::string help_text(const Manual& manual);

// The words that `name` allows, a flag's value name or a word of a usage line: {"text", "json"}. None where it only
// says of which kind they are.
Words choices_of(const std::string& name);

}  // namespace lmsb::cli
