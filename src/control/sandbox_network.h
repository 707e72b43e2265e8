#pragma once
// SandboxNetwork: the network of one sandbox as the daemon holds it: its policy, its gate, and what that tells. Where a
// gate ends, another one takes its place, when nothing of it is left; until then the sandbox reaches nothing. One loop,
// one thread.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "base/log.h"
#include "control/connection_shares.h"
#include "control/credential_desk.h"
#include "control/gate.h"
#include "control/network_log.h"
#include "guest_client/channel.h"
#include "io/event.h"
#include "network/egress.h"

namespace lmsb::control {

class SandboxNetwork : public std::enable_shared_from_this<SandboxNetwork> {
 public:
  struct Parts {
    std::function<io::Task<std::unique_ptr<Gate>>()> open_gate;
    // Of a gate that has been let go of: Fleet::wait_destroyed().
    std::function<io::Task<void>(std::uint64_t serial, io::Deadline deadline)> wait_ended;
    std::function<guest_protocol::GatePolicy(const network::Egress& egress)> policy_of;
    std::function<std::unique_ptr<ConnectionShares::Place>(ConnectionShares::Tell tell)> take_place;
    std::function<void(const NetworkEvent& event)> hear;  // each that its gate tells
    std::function<Result<CredentialDesk::Streams>(CredentialDesk::Order order)> serve_credential;
    std::function<void(const std::vector<std::string>& credentials)> keep_credentials;  // CredentialDesk::keep()
  };
  // `loop` and `log` outlive it; `channel` until close().
  SandboxNetwork(boost::asio::io_context& loop, std::string id, guest_client::Channel& channel, network::Egress egress,
                 Parts parts, Logger& log);

  // Returns when the first gate serves. Errors: those of a launch and of Channel::take_network(). After that, or
  // without it, keep() sees to it that there is one.
  static io::Task<void> open(std::shared_ptr<SandboxNetwork> self);
  static io::Always<void> keep(std::shared_ptr<SandboxNetwork> self);
  // Returns when the policy is in force, and what it does not allow has ended. Errors: cancelled or gate_lost (a gate
  // that does not answer could not be ended yet); it will be in force all the same. Or sandbox_lost.
  static io::Task<void> change(std::shared_ptr<SandboxNetwork> self, network::Egress egress);
  // For good: every connection ends. The sandbox is about to go.
  void close();

  const network::Egress& egress() const { return egress_; }
  const NetworkLog& log() const { return events_; }

 private:
  io::Task<void> hear_gate(io::Deadline deadline);
  // Nothing is left of the gate that was lost last. Errors: gate_lost, cancelled.
  static io::Task<void> wait_ended(std::shared_ptr<SandboxNetwork> self);
  // It has a share of what all sandboxes may have, and hears when that is another one.
  std::unique_ptr<ConnectionShares::Place> take_place();
  void say_share(std::uint32_t share);
  guest_protocol::GatePolicy next_policy();
  void lose_gate();
  static void lose(const std::weak_ptr<SandboxNetwork>& weak, const std::weak_ptr<Gate>& gate);
  // What the gate has asked for: a request of the sandbox's is to get a credential.
  void serve_credential(const guest_protocol::GateNote& note);
  void refuse_credential(const std::string& name, const std::string& verdict);

  boost::asio::io_context& loop_;
  std::string id_;
  guest_client::Channel* channel_;  // null: closed
  network::Egress egress_;
  Parts parts_;
  Logger& log_;
  NetworkLog events_;
  std::shared_ptr<Gate> gate_;  // null: there is none now
  // Of gate_, and of the one before it until nothing is left of that; null: its policy lets nothing out.
  std::unique_ptr<ConnectionShares::Place> place_;
  std::uint32_t said_share_ = 0;           // that the gate took last
  bool is_share_unsaid_ = false;           // the gate did not keep up
  std::uint64_t ending_ = 0;               // serial of the one that was lost last; 0: nothing is left of it
  io::Deadline::Clock::time_point since_;  // gate_ is there
  std::uint32_t generation_ = 0;           // of the policy that was sent last
  std::uint32_t generation_in_force_ = 0;  // as the gate says
  io::Event changed_;
};

}  // namespace lmsb::control
