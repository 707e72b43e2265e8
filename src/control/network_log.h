#pragma once
// NetworkLog: what the gate of a sandbox has let through and refused: the counts, and the newest events. One thread.
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "guest_protocol/gate.h"
#include "network/token_bucket.h"

namespace lmsb::control {

struct NetworkEvent {
  std::string time;     // RFC 3339 UTC
  std::string verdict;  // "allowed", "not_listed", ... (network_log.cc)
  guest_protocol::GateSubject subject = guest_protocol::GateSubject::connection;  // name: one was asked for
  std::string name;                                                               // "" = none
  std::string address;                                                            // "" = none
  std::string credential;                                                         // that it was for; "" = none
  std::uint32_t port = 0;
};

struct NetworkCounts {
  std::uint64_t allowed = 0;  // connections
  std::uint64_t refused = 0;  // connections and names
  std::uint64_t unsaid = 0;   // events that came too fast to be told
  std::uint64_t sent_bytes = 0;
  std::uint64_t received_bytes = 0;
};

class NetworkLog {
 public:
  static constexpr std::size_t kMostEvents = 256;        // older ones are forgotten
  static constexpr std::uint64_t kNotesPerSecond = 100;  // and twice as many at once: a gate of ours tells less

  // False for what no gate of ours tells, or not so much of. `event`: the one that it told, if any.
  bool take(const guest_protocol::GateNote& note, std::uint64_t now_ms, std::optional<NetworkEvent>& event);
  // What the daemon itself has refused.
  void add(NetworkEvent event);
  // Another gate follows, whose counts begin anew.
  void begin_anew();
  NetworkCounts counts() const;
  const std::deque<NetworkEvent>& events() const { return events_; }

 private:
  NetworkCounts before_;
  NetworkCounts now_;
  std::deque<NetworkEvent> events_;
  network::TokenBucket notes_left_{kNotesPerSecond};
};

}  // namespace lmsb::control
