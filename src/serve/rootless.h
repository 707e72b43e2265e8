#pragma once
// rootless: what differs at the start when a normal user runs `lm-sandbox serve` (docs/adr/0050,
// docs/user/rootless.md).
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "os/user_namespaces.h"
#include "os/user_places.h"
#include "sandbox/own_ids.h"

namespace lmsb::serve {

// The locks of ids, which all daemons of the user share (launcher/id_pool.h): below the account's home, wherever a
// session says that things lie. Makes the directory. Blocks.
Result<std::string> make_id_locks(const std::string& home);

// Puts the user's places where the settings say nothing. Errors: there is no place for the run directory; a store for
// disks is asked for.
Status settle_places(config::Loaded& loaded, const os::UserPlaces& places);

// Whether nobody but root and this user can put something else in the place of `path`, or of what is above it: all that
// is there is of one of them, and nobody else may write to it, but where the directory is sticky. Blocks.
Status require_safe_ways(const std::string& path);

// Of an environment what the daemon gets: its settings, the language, where programs are, how to reach the network.
// Nothing else of a session (tokens of others, agents' sockets) is for it. Pure.
std::vector<std::string> environment_for_daemon(const std::vector<std::string>& all);

// Whether sandboxes can be made here by a user who is not root; the Error says what the machine lacks, and the line or
// command that adds it. Blocks.
Result<sandbox::OwnIds> check_rootless(const os::ReadFile& read_file);

// What sandboxes are weaker in than root's, whatever the kernel has; one sentence each. `has_own_ids`: each sandbox of
// image host has a range of ids.
std::vector<std::string> weaker_without_root(bool has_own_ids);

}  // namespace lmsb::serve
