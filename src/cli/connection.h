#pragma once
// Connection: how a command reaches the daemon that daemon_choice.h names, or a private one that it starts first.
#include <memory>
#include <optional>
#include <string>

#include "cli/api.h"
#include "cli/command_line.h"
#include "cli/console.h"
#include "cli/daemon_choice.h"
#include "http/client.h"

namespace lmsb::cli {

// Sends requests, each on a fresh connection; LM_SANDBOX_API_KEY goes along as a bearer token. Owns the private
// daemon, if there is one, which ends with it. One thread at a time.
class Connection : public Api {
 public:
  // Says on the console's err when it starts a private daemon. Does not try whether somebody answers at a given
  // address.
  static Result<std::unique_ptr<Connection>> open(const Target& target, PrivateDaemonUse use, Console& console);

  // For who speaks to the daemon by other means than send(): where it is, and a request with what goes along with each.
  virtual const http::Endpoint& endpoint() const = 0;
  virtual http::ClientRequest request_of(const Call& call) const = 0;
  // Where descriptors of directories are handed over (mounts_client.h); nothing over TCP.
  virtual std::optional<std::string> mounts_socket() const = 0;
  // The same for files that the daemon is to read.
  virtual std::optional<std::string> files_socket() const = 0;
  // "unix:/run/lm-sandbox/api.sock", "http://...", "a private daemon".
  virtual std::string name() const = 0;
};

// The body of a 200 answer to GET `url`; nothing otherwise. For other services of this machine. Blocks.
std::optional<std::string> fetch_body(const std::string& url, std::chrono::milliseconds timeout);

// The absolute path of our program `name`: beside this one, or where `make install` puts what users do not call.
Result<std::string> program_beside(const std::string& name);

}  // namespace lmsb::cli
