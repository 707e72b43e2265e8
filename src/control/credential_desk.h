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
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/metrics.h"
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
  // One has as many as this part of the places that are left at most: a few that want all do not get it; some thirty
  // do.
  static constexpr std::size_t kPartOfWhatIsLeft = 4;
  // Nor do all of one owner's: together they have no more than are left for others.

  // What one request asks for. All of it is kept as long as that is served.
  struct Order {
    std::string sandbox;  // whose it is
    std::string owner;    // of that
    std::string credential;
    std::function<void(const std::string& verdict)> tell;  // of an event: no_secret, not_trusted, request_refused
    // A part of the answer is missing: the sandbox's connection is to be reset. The stream does not end before that.
    std::function<void()> cut;
    std::function<void()> lose;  // it was not, in a minute: whoever carries it is to end
  };
  // For the gate: see GateStreams. Without `host` nothing is wanted of the host.
  struct Streams {
    UniqueFd sandbox;
    UniqueFd host;
  };

  // Both outlive it, and what it has begun.
  CredentialDesk(boost::asio::io_context& loop, Metrics& metrics);

  // From the next request on. What goes on with a credential that is another one by now, or none, ends; with another
  // secret alone it goes on.
  void use(CredentialSettings settings);
  // What that sandbox has by now: what it asks with others ends.
  void keep(const std::string& sandbox, const std::vector<std::string>& credentials);
  // nullptr: there is none of that name.
  const KeptCredential* find(const std::string& name) const;
  // Begins to serve. Errors: not_found, resource_exhausted (too many of all, of that sandbox or its owner, or no
  // descriptors left).
  Result<Streams> serve(Order order);

 private:
  struct Errand;
  std::vector<std::shared_ptr<Errand>> running();
  static bool has_place(const std::vector<std::shared_ptr<Errand>>& all, const Order& order);

  boost::asio::io_context& loop_;
  Counter& requests_;
  Counter& bytes_;
  CredentialSettings settings_;
  std::vector<std::weak_ptr<Errand>> errands_;  // also some that have ended
};

}  // namespace lmsb::control
