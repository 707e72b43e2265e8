#pragma once
// ParentOptions: what `lm-sandbox serve` tells the parent, and what parent and daemon call each other's things.
#include <string>
#include <sys/types.h>
#include <vector>

#include "launcher/policy.h"

namespace lmsb::launcher {

struct ParentOptions {
  std::string data_dir;  // both are made when missing, and locked: places.h
  std::string run_dir;
  std::string guest_program;  // path
  std::string archiver_program;
  std::string gate_program;
  std::uint32_t daemon_uid = kDaemonId;
  std::uint32_t daemon_gid = kDaemonId;
  std::uint32_t socket_gid = 0;   // of --socket-group: the daemon's only other group; 0 = there is none
  Caps caps;                      // of one sandbox
  std::string disks = "auto";     // where those of kept sandboxes are: see config/schema_table.cc
  std::uint64_t store_bytes = 0;  // of a store that is made; 0 = as disk_store.h decides
  bool die_with_parent = false;   // for private daemons that a command starts:
  pid_t started_by = 0;           // that command, with which all ends
  Starter starter = Starter::root;
  std::string id_locks = kIdLocks;  // id_pool.h
  std::uint32_t ids_of_sandbox = kIdRange;
  std::uint32_t own_ranges = 0;
  bool sandboxes_stay = true;            // those that can, when this ends, whatever ends it
  std::vector<std::string> daemon_argv;  // [0] is an absolute path
  std::vector<std::string> handed_files;
  // Open descriptors that are the daemon's, under their numbers: listening sockets, --ready-fd.
  std::vector<int> daemon_fds;
  sandbox::DeviceTable devices;  // that sandboxes may be given
  int ready_fd = -1;             // which of them the first daemon alone writes to; -1: none
};

// The environment variable that names the launcher's socket to the daemon.
constexpr const char* kLauncherFdVariable = "LM_SANDBOX_LAUNCHER_FD";
// The same for the socket that files are handed over on.
constexpr const char* kFilesFdVariable = "LM_SANDBOX_FILES_FD";

// The exit status of a daemon that ends because its launcher has gone. Believed where that has ended by itself.
constexpr int kLauncherGone = 75;

}  // namespace lmsb::launcher
