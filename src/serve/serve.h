#pragma once
// `lm-sandbox serve`: two stages of one program.
//
// Stage 1 runs as root: it reads flags and configuration, checks what must be right before anything starts, opens the
// TCP listeners, decides who the daemon will be, and becomes lm-sandbox-launcher, which starts stage 2: the daemon,
// without any privilege, beside the launcher.
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "launcher/starter.h"

namespace lmsb::serve {

// What the command line of `serve` says, apart from configuration keys.
struct ServeArguments {
  config::Sources sources;
  int ready_fd = -1;             // where one line of JSON goes when ready; -1 = nowhere
  bool is_socket_only = false;   // --listen off: the unix socket and no TCP
  bool die_with_parent = false;  // of private daemons that a command starts
  pid_t started_by = 0;          // that program, where it says so; 0: whoever is the parent now
  bool stop_sandboxes = false;   // none of them outlives the daemon
  // From stage 1 to stage 2:
  std::vector<std::string> handed_files;  // names of the files that the parent hands over, in their order
  std::vector<int> listen_fds;            // sockets that listen already, instead of `listen`
  int devices_fd = -1;                    // the table of the machine's devices; -1: there are none
  launcher::Starter starter = launcher::Starter::root;
  bool has_own_ids = true;  // false: all sandboxes share one range of ids
};

// Where the settings are of a daemon that root starts without --config.
constexpr const char* kSystemSettings = "/etc/lm-sandbox/config.toml";

// Takes `--name value`, `--name=value` and bare switches apart. Errors name the flag.
Result<ServeArguments> parse_arguments(const std::vector<std::string>& arguments);

// The whole program `lm-sandbox serve ARGUMENTS`, whichever stage this process is. Returns the exit status.
int main_serve(const std::vector<std::string>& arguments);

}  // namespace lmsb::serve
