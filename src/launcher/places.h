#pragma once
// Places: the directories that a daemon works in, made for it, and the lock that keeps a second one out of them.
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/parent_options.h"

namespace lmsb::launcher {

// Makes what is missing of the run directory and the data directory, and gives the daemon what it may write to. Returns
// the lock of the run directory, for as long as something is served from it. Errors: already_exists (another one does).
Result<UniqueFd> make_places(const ParentOptions& options);

// Removes what this daemon made in the run directory, when all has ended.
void clean_run_dir(const std::string& run_dir);

// What the daemon itself writes to.
std::vector<std::string> directories_of_daemon(const ParentOptions& options);
// Where a user's daemon finds the socket at which directories are handed over; and that socket, whoever the user is.
std::string desk_of_user(const ParentOptions& options);
std::string mounts_socket(const ParentOptions& options);

}  // namespace lmsb::launcher
