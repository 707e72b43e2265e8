#pragma once
// Settings: what stage 2, the daemon, reads its configuration from: its arguments and environment, which do not change,
// and the files that the parent hands over, at start and again at SIGHUP (launcher/handed_files.h).
//
// read() blocks, and is for one thread at a time; ask() and say_ready() do neither.
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "config/config.h"
#include "serve/serve.h"

namespace lmsb::serve {

class Settings {
 public:
  // `files` is the socket to the parent.
  Settings(ServeArguments arguments, UniqueFd files);

  // Waits for a message of the parent, and reads what the newest one that is there brings. Errors: those of
  // config::load(), and cancelled when the parent is gone.
  Result<config::Config> read();
  // Asks the parent to hand the files over again: socket() becomes readable.
  void ask();
  // Tells the parent that the daemon serves, with what was read last or in spite of it.
  void say_ready();
  BorrowedFd socket() const { return files_; }
  launcher::Starter starter() const { return arguments_.starter; }
  bool has_own_ids() const { return arguments_.has_own_ids; }

 private:
  ServeArguments arguments_;
  UniqueFd files_;
};

// What SIGHUP changes in a running daemon: keys and doors, hosts, origins, the certificate, credentials, the policy's
// caps, which cannot rise above those of the start (`running`), as the launcher keeps to these. The rest of `running`
// stays as it is.
config::Config reloaded(const config::Config& running, const config::Config& fresh);

// The keys that differ in `fresh` and that only a start takes up.
std::vector<std::string> keys_for_a_restart(const config::Config& running, const config::Config& fresh);

}  // namespace lmsb::serve
