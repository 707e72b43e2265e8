#pragma once
// Networks: gives sandboxes that have a way out their gates and policies. One loop, one thread.
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "base/metrics.h"
#include "control/credential_desk.h"
#include "control/fleet.h"
#include "control/sandbox_network.h"
#include "network/egress.h"
#include "network/token_bucket.h"

namespace lmsb::control {

struct NetworkOptions {
  // Name servers, "ADDRESS" or "ADDRESS:PORT" (IPv6: "[ADDRESS]:PORT"); none: those of /etc/resolv.conf, whenever a
  // gate gets a policy.
  std::vector<std::string> resolvers;
  network::Groups groups;                     // names that stand for several entries
  std::vector<std::string> reachable;         // parts of the ranges that are always denied, opened by the operator
  std::vector<std::string> unreachable;       // ranges that no sandbox reaches, beside those
  std::uint32_t max_connections = 256;        // of one sandbox, at once
  std::uint32_t connections_of_all = 16'384;  // of all sandboxes together
  std::uint32_t connections_per_second = 50;  // of one sandbox; each address that is tried counts
  std::uint64_t bytes_per_second = 0;         // of one sandbox; 0 = no limit
  bool is_offline = false;                    // no sandbox has a network
};

class Networks {
 public:
  // What is refused to all sandboxes, one by one, in the daemon's log; each sandbox's own says more.
  static constexpr std::uint64_t kLinesPerSecond = 20;

  // All references outlive it.
  Networks(boost::asio::io_context& loop, Fleet& fleet, NetworkOptions options, Metrics& metrics, Logger& log);

  // What a sandbox may have of it on this machine, by its groups. Errors: invalid_egress, offline.
  Result<std::vector<network::Rule>> rules_of(const network::Egress& egress) const;
  // From now on. Says of which there is no secret. Call allow() of all afterwards.
  void use_credentials(CredentialSettings settings);
  // Of a sandbox that was launched with a way out, and of which nobody knows yet; returns when it has its network.
  // `handle` outlives the task. Errors: those of a launch, network_fixed.
  io::Task<void> open(SandboxHandle* handle, network::Egress egress);
  // The same for one that has run on since an earlier daemon: it has its network when its gate is there.
  void open_later(SandboxHandle& handle, network::Egress egress);
  // What the operator allows has changed: a sandbox with that policy has it from now on, or reaches nothing where
  // `allowed` says why not. Does not wait for it.
  void allow(const std::shared_ptr<SandboxHandle>& handle, const network::Egress& egress, const Status& allowed);
  // Of one that runs. Errors: network_fixed (it was launched without a way out), and those of SandboxNetwork::change().
  io::Task<void> change(std::shared_ptr<SandboxHandle> handle, network::Egress egress);

 private:
  std::shared_ptr<SandboxNetwork> make(SandboxHandle& handle, network::Egress egress);
  void hear(const std::string& id, const NetworkEvent& event);
  guest_protocol::GatePolicy policy_of(const network::Egress& egress) const;

  boost::asio::io_context& loop_;
  Fleet& fleet_;
  NetworkOptions options_;
  CredentialDesk desk_;
  std::shared_ptr<ConnectionShares> connections_;
  Counter& allowed_;
  Counter& refused_;
  Logger& log_;
  network::TokenBucket lines_left_{kLinesPerSecond};
  std::uint64_t not_logged_ = 0;
  std::shared_ptr<Networks*> self_ = std::make_shared<Networks*>(this);  // for what may outlive it
};

// Name servers of resolv.conf(5)'s text, at most kMaxResolvers of them. Pure.
std::vector<guest_protocol::GateResolver> parse_resolv_conf(std::string_view text);
// Error: invalid_argument.
Result<guest_protocol::GateResolver> parse_resolver(const std::string& text);

}  // namespace lmsb::control
