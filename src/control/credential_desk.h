#pragma once
// CredentialDesk: serves what sandboxes send to the hosts of credentials (docs/adr/0047): puts the header in, speaks
// TLS to the host, and carries both bodies as they come. It connects to nothing and looks no name up: the sandbox's
// gate does, and carries the TLS. What the host answers is passed on unread.
//
// One request for each connection. One loop, one thread.
#include <functional>
#include <map>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "base/result.h"
#include "base/secret.h"
#include "base/unique_fd.h"
#include "http/tls.h"
#include "network/credential.h"

namespace lmsb::control {

struct KeptCredential {
  network::Credential credential;
  Secret secret;
  std::string fault;  // why there is no secret; "": there is
};

struct CredentialSettings {
  std::map<std::string, KeptCredential> credentials;  // by name
  std::shared_ptr<const http::TlsContext> trust;      // null: there are no credentials
};

class CredentialDesk {
 public:
  static constexpr std::size_t kMost = 1024;  // requests at once, of all sandboxes

  // What one request asks for. All of it is kept as long as that is served.
  struct Order {
    std::string credential;
    std::shared_ptr<const void> place;                     // counts for its sandbox
    std::function<void(const std::string& verdict)> tell;  // of an event: no_secret, not_trusted, request_refused
    std::function<void()> cut;                             // the sandbox's connection is to be reset: a part is missing
  };
  // For the gate: see GateStreams. Without `host` nothing is wanted of the host.
  struct Streams {
    UniqueFd sandbox;
    UniqueFd host;
  };

  // The loop outlives it.
  explicit CredentialDesk(boost::asio::io_context& loop) : loop_(loop) {}

  // From the next request on.
  void use(CredentialSettings settings) { settings_ = std::move(settings); }
  // nullptr: there is none of that name.
  const KeptCredential* find(const std::string& name) const;
  // Begins to serve. Errors: not_found, resource_exhausted (too many, or no descriptors left).
  Result<Streams> serve(Order order);

 private:
  struct Errand;
  boost::asio::io_context& loop_;
  CredentialSettings settings_;
  std::shared_ptr<const char> place_ = std::make_shared<const char>('\0');  // shared by all that are served
};

}  // namespace lmsb::control
