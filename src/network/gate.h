#pragma once
// Gate: the one way out of one sandbox's network (docs/adr/0038). It accepts the sandbox's connections and its
// questions for names on two sockets of the sandbox's network namespace, and connects outside, from the machine's, to
// what the policy allows. No packet of a sandbox ever leaves its namespace.
//
// Everything is refused before the first policy has come, and everything ends when the channel does. One loop, one
// thread; it never blocks, and all that it keeps has a bound.
#include <map>
#include <memory>
#include <netinet/in.h>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "network/egress.h"
#include "network/flow.h"
#include "network/flow_shares.h"
#include "network/name_addresses.h"
#include "network/resolver.h"
#include "network/token_bucket.h"
#include "os/message_socket.h"

namespace lmsb::network {

class Gate {
 public:
  static constexpr std::size_t kHeadBuffer = 32U * 1024U;
  static constexpr std::size_t kBuffer = 16U * 1024U;  // for each direction of a flow
  // What is not for flows: itself, the names that it knows, and what is under way of lookups.
  static constexpr std::size_t kOwnMemory = 12U << 20U;
  static constexpr std::size_t kMaxQueries = 64;           // for names, at once
  static constexpr std::uint32_t kQueriesPerSecond = 100;  // that it looks at; see Resolver for those that go on
  // Told one by one: the daemon logs them. Who tries much that is refused does not hide what is allowed.
  static constexpr std::uint32_t kAllowedPerSecond = 20;
  static constexpr std::uint32_t kRefusedPerSecond = 10;
  // For streams, of the daemon. It ends who says far more than all of these together (control/network_log.h).
  static constexpr std::uint32_t kAsksPerSecond = 50;
  static constexpr std::uint64_t kHeadMs = 15'000;
  static constexpr std::uint64_t kConnectMs = 10'000;
  static constexpr std::uint64_t kIdleMs = 3'600'000;

  // `channel` is owned by main.
  explicit Gate(int channel);
  // Until the channel ends, or brings what no daemon of ours sends. 0 or an errno.
  int run();

 private:
  using Verdict = guest_protocol::GateVerdict;
  struct Query {
    DnsQuery query;
    sockaddr_in from{};
    in_addr to{};
  };

  // Both false: the channel has ended, with errno 0, or brought what no daemon of ours sends.
  bool take_message();
  bool take_policy(const guest_protocol::GatePolicy& fresh, ReceivedFds& fds);
  bool begin(UniqueFd listener, UniqueFd names);
  void handle(std::uint64_t tag, std::uint32_t events);
  int wait_ms(std::uint64_t now);
  void handle_deadlines();

  // Names.
  // Whether the policy lets the name servers be asked for it: in mode open, what the world knows.
  bool may_ask(const std::string& name) const;
  void read_queries();
  void take_query(Query query);
  void answer_query(const Query& query, const Resolution& resolution);
  void send_answer(const Query& query, const std::string& answer);
  void handle_resolved(const std::string& name);

  // Credentials. nullptr: that name is none's.
  const guest_protocol::GateCredential* credential_inside(std::string_view host) const;
  const guest_protocol::GateCredential* find_credential(std::string_view name) const;
  void ask(Flow& flow, const guest_protocol::GateCredential& credential);
  void take_streams(const guest_protocol::GateStreams& streams, ReceivedFds& fds);
  void carry_to_host(const std::string& credential, UniqueFd stream);

  // Connections.
  void settle_listener();
  void accept_flows();
  void admit(Flow& flow);
  void read_head(Flow& flow);
  void go_to_name(Flow& flow, std::string name);
  void resolved(Flow& flow, const Resolution& resolution);
  void connect_next(Flow& flow);
  void handle_client(Flow& flow, std::uint32_t events);
  void handle_server(Flow& flow, std::uint32_t events);
  void relay(Flow& flow);
  static bool is_over(const Flow& flow);
  static bool flush(int socket, std::string& waiting);
  // `count`: null for what does not leave the machine there.
  ssize_t receive(int socket, std::string& waiting, std::uint64_t* count);
  // Both false: an end of it is gone, or malformed.
  bool move_up(Flow& flow);
  bool move_down(Flow& flow);
  void watch(Flow& flow);
  void set_events(int fd, std::uint32_t& now, std::uint32_t wanted, std::uint64_t tag) const;
  void refuse(Flow& flow, Verdict verdict);
  void end(Flow& flow, Flow::End how);
  bool is_allowed(const Flow& flow) const;
  Flow* find(std::uint64_t number);
  // Of a destination, whatever the policy says.
  bool is_denied(std::uint32_t address) const;

  void note(Verdict verdict, const std::string& name, std::uint32_t address, std::uint32_t port,
            guest_protocol::GateSubject subject, const std::string& credential = "");
  void note(Verdict verdict, const Flow& flow);
  // False: the daemon does not keep up.
  bool send_note(guest_protocol::GateNote& note);
  void change_counts();
  bool may_spend() { return bytes_.wait_ms(now_) == 0; }

  int channel_;
  UniqueFd epoll_;
  UniqueFd listener_;
  UniqueFd names_;
  guest_protocol::GatePolicy policy_;
  std::vector<Rule> rules_;
  std::vector<Range> reachable_;
  std::vector<Range> unreachable_;
  Resolver resolver_;
  NameAddresses addresses_;
  FlowShares shares_{guest_protocol::kGateMemory - kOwnMemory};
  std::map<std::uint64_t, std::unique_ptr<Flow>> flows_;
  std::vector<std::unique_ptr<Flow>> ended_;  // until their event is over
  std::vector<Query> queries_;                // that wait for a resolution
  std::uint64_t next_flow_ = 1;
  std::uint64_t now_ = 0;  // milliseconds
  TokenBucket connections_;
  TokenBucket bytes_;
  TokenBucket queries_left_{kQueriesPerSecond};
  TokenBucket allowed_left_{kAllowedPerSecond};
  TokenBucket refused_left_{kRefusedPerSecond};
  TokenBucket asks_left_{kAsksPerSecond};
  guest_protocol::GateNote counts_;
  bool counts_changed_ = false;
  std::uint64_t counts_due_ = 0;
  bool is_paused_ = false;  // for want of bytes
};

}  // namespace lmsb::network
