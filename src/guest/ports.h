#pragma once
// Ports: connects to what listens on the sandbox's loopback, for the daemon, which gets the connection.
//
// PID 1 never waits here: a connection that is not made at once is one of an epoll descriptor's, which stands for all
// of them in the server's poll. Who listens and never accepts holds a place for kPatienceMs, and there are few places.
// 127.0.0.1 is tried first, then ::1.
#include <cstdint>

#include "base/unique_fd.h"
#include "guest/slots.h"
#include "guest_protocol/messages.h"

namespace lmsb::guest {

class Ports {
 public:
  static constexpr std::uint64_t kPatienceMs = 5'000;

  // `channel` is owned by main.
  explicit Ports(int channel) : channel_(channel) {}

  // Answered once, from here or later: port_connected with the socket, or port_failed with an errno, EAGAIN when all
  // places are taken, ETIMEDOUT when its time is over.
  void connect(const guest_protocol::ConnectPort& request, std::uint64_t now_ms);
  // Becomes readable when handle_events() has something to do; -1 while there was nothing to wait for.
  int events() const { return epoll_.get(); }
  void handle_events();
  // When the first place's time is over; 0: none is held.
  std::uint64_t first_deadline_ms();
  void handle_deadlines(std::uint64_t now_ms);
  // The channel has closed: nobody waits for a connection any more.
  void lose_channel();

 private:
  // Free ones have sequence 0.
  struct Connecting {
    std::uint32_t sequence = 0;
    std::uint16_t port = 0;
    bool is_v6 = false;
    std::uint64_t deadline_ms = 0;
    UniqueFd socket;
  };

  void begin(Connecting& place);
  int try_family(Connecting& place);
  int wait_for(const Connecting& place);
  void conclude(Connecting& place, int error);
  void fail(std::uint32_t sequence, int error) const;

  int channel_;
  UniqueFd epoll_;
  Slots<Connecting, guest_protocol::kMaxConnecting> places_;
};

}  // namespace lmsb::guest
