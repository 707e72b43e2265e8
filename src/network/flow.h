#pragma once
// Flow: one connection of a sandbox to the outside, from its beginning inside to its end. A value; the gate moves it
// on.
#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "guest_protocol/gate.h"
#include "network/request_head.h"

namespace lmsb::network {

struct Flow {
  enum class State : std::uint8_t {
    head,        // the client has not said yet whom it wants
    asking,      // the daemon for streams
    resolving,   // `name` is being asked for
    connecting,  // to addresses[next - 1]
    relaying,
  } state = State::head;
  enum class End : std::uint8_t { orderly, abrupt };  // abrupt: both ends are reset
  std::uint64_t number = 0;
  std::size_t share = 0;  // of the gate's memory
  UniqueFd client;
  UniqueFd server;
  std::uint32_t address = 0;  // that the client has asked for, host order
  std::uint32_t port = 0;
  std::string name;                      // whom it goes to; "": an address that is allowed as such
  bool has_said = false;                 // `name` is what its Host or SNI said
  std::vector<std::uint32_t> addresses;  // to be tried
  std::size_t next = 0;
  std::uint64_t deadline_ms = 0;
  std::string up;             // to the server, not taken yet; of State::head all that has come
  std::string down;           // to the client
  std::string credential;     // that it is for, or carries; "": none
  bool is_to_daemon = false;  // its server is the daemon, which puts the header in
  bool is_http = false;
  RequestBody body;           // of a flow that is_http
  bool client_ended = false;  // nothing more is wanted of it
  bool client_left = false;   // it says no more; the server hears that, also behind the request of a flow that is_http
  bool server_ended = false;
  bool ends_server = false;         // its writing side, once `up` has gone
  std::uint32_t client_events = 0;  // that epoll watches for; 0: none
  std::uint32_t server_events = 0;
};

}  // namespace lmsb::network
