#pragma once
// Places: the directories that a daemon works in, made for it, and the locks that keep a second one out of them.
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/parent_options.h"

namespace lmsb::launcher {

// For as long as something is served from there. The kernel lets go of them with the last process that has them: of
// parent and launcher, so a kill leaves nothing that keeps the next one out. Nothing that these start keeps them.
struct PlaceLocks {
  UniqueFd run_dir;
  UniqueFd data_dir;  // wherever disks are; not of a command's own daemon, which only uses what is there
};

// Makes what is missing of the run directory and the data directory, and gives the daemon what it may write to. Errors:
// already_exists (another one serves from there).
Result<PlaceLocks> make_places(const ParentOptions& options);

// Removes what this daemon made in the run directory, when all has ended.
void clean_run_dir(const std::string& run_dir);

// What the daemon itself writes to.
std::vector<std::string> directories_of_daemon(const ParentOptions& options);
// Where a user's daemon finds the socket at which directories are handed over; and that socket, whoever the user is.
std::string desk_of_user(const ParentOptions& options);
std::string mounts_socket(const ParentOptions& options);

}  // namespace lmsb::launcher
