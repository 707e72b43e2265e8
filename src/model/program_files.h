#pragma once
// Program files: what of the machine must be shown, beside /usr, for a program that is not ours to run in a sandbox:
// its own folder, and the folders of the shared libraries that it asks for. Found by reading, as the dynamic loader
// would look; the program is never run for it.
#include <string>
#include <vector>

#include "base/result.h"

namespace lmsb::model {

// Where the machine's loader looks, and what a sandbox shows anyway.
struct LoaderPlaces {
  std::vector<std::string> extra;     // LD_LIBRARY_PATH
  std::vector<std::string> standard;  // /etc/ld.so.conf, then the loader's own
  std::vector<std::string> shown = {"/usr", "/lib", "/lib64"};
};
// Blocking: reads the environment and /etc/ld.so.conf.
LoaderPlaces loader_places_of_machine();

struct ProgramFiles {
  std::string program;                   // without links
  std::vector<std::string> directories;  // to be shown at their own paths: absolute, without links, none within another
  std::vector<std::string> search;       // of these, what the loader finds only when it is told (LD_LIBRARY_PATH)
};

// Blocking. `program` is absolute. A library that is nowhere to be found is left out: the loader will name it. Errors:
// those of opening and read_elf(); failed_precondition with the slug "program_not_showable" when a folder is one that
// a sandbox has of its own (/, /etc, /root, /run, ...) or there are more than kMaxDirectories.
Result<ProgramFiles> find_program_files(const std::string& program, const LoaderPlaces& places);

constexpr std::size_t kMaxDirectories = 7;  // a sandbox takes 8 mounts, and the model is one

}  // namespace lmsb::model
