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

// The locks of ids, which all daemons of the user share (launcher/id_pool.h).
std::string id_locks_of(const os::UserPlaces& places, const std::string& run_dir);

// Puts the user's places where the settings say nothing. Errors: there is no place for the run directory; a store for
// disks is asked for.
Status settle_places(config::Loaded& loaded, const os::UserPlaces& places);

// Of an environment what the daemon gets: its settings, the language, where programs are, how to reach the network.
// Nothing else of a session (tokens of others, agents' sockets) is for it. Pure.
std::vector<std::string> environment_for_daemon(const std::vector<std::string>& all);

// Whether sandboxes can be made here by a user who is not root; the Error says what the machine lacks, and the line or
// command that adds it. Blocks.
Result<sandbox::OwnIds> check_rootless(const os::ReadFile& read_file);

// What sandboxes are weaker in than root's, whatever the kernel has; one sentence each.
std::vector<std::string> weaker_without_root();

}  // namespace lmsb::serve
