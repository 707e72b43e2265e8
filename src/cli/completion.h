#pragma once
// completion: what may stand at the end of a command line that somebody is typing, as the manuals of the commands say.
// Pure: what only a daemon knows is named here, and asked by who calls (completion_command.cc).
#include <cstdint>
#include <string>
#include <vector>

#include "cli/manual.h"

namespace lmsb::cli {

struct Candidate {
  std::string word;
  std::string about;  // a few words; "" = nothing to say
};

// Names that only a daemon knows.
enum class Names : std::uint8_t { none, sandboxes, images, models, processes, sessions, snapshots, volumes, keys };

struct Completion {
  std::vector<Candidate> candidates;  // they begin as the word does
  Names names = Names::none;          // these too
  std::string name_prefix;            // how they must begin
  std::string sandbox;                // whose processes, sessions, or snapshots; "" = of all
  std::string behind;                 // what follows each name: ":" where a path of the sandbox does
  std::string host;                   // --host, if it is on the line
  std::string ca;                     // --ca, the same
  bool files = false;                 // and files, which the shell knows
  bool directories = false;
};

// `words` stand behind the program's name; the last one is being typed, and may be "".
Completion complete(const Words& words);

}  // namespace lmsb::cli
