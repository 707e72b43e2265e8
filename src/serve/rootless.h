#pragma once
// rootless: what differs at the start when a normal user runs `lm-sandbox serve` (docs/adr/0050,
// docs/user/rootless.md).
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "os/user_namespaces.h"
#include "sandbox/own_ids.h"

namespace lmsb::serve {

// Where a user's things are, by the XDG base directories.
struct UserPlaces {
  std::string settings;  // the file, which may be missing
  std::string data_dir;
  std::string runtime_dir;  // "" = there is none
  std::string run_dir() const { return runtime_dir.empty() ? "" : runtime_dir + "/lm-sandbox"; }
  // Shared by all daemons of the user: id_pool.h.
  std::string id_locks(const std::string& own_run_dir) const;
};

// Pure: `variable` gives an environment variable, "" where it is not set; `home` is what the account says.
UserPlaces user_places(const std::function<std::string(const char*)>& variable, const std::string& home);
UserPlaces places_of_this_user();

// Puts the user's places where the settings say nothing. Errors: there is no place for the run directory; a store for
// disks is asked for.
Status settle_places(config::Loaded& loaded, const UserPlaces& places);

// Of an environment what the daemon gets: its settings, the language, where programs are, how to reach the network.
// Nothing else of a session (tokens of others, agents' sockets) is for it. Pure.
std::vector<std::string> environment_for_daemon(const std::vector<std::string>& all);

// Whether sandboxes can be made here by a user who is not root; the Error says what the machine lacks, and the line or
// command that adds it. Blocks.
Result<sandbox::OwnIds> check_rootless(const os::ReadFile& read_file);

// What sandboxes are weaker in than root's, whatever the kernel has; one sentence each.
std::vector<std::string> weaker_without_root();

}  // namespace lmsb::serve
