#pragma once
// client_hello: the name in the first message of a TLS connection (RFC 8446, 6066), as it comes in, piece by piece.
// Pure.
#include <cstdint>
#include <string>
#include <string_view>

namespace lmsb::network {

constexpr std::size_t kMaxClientHello = 32U * 1024U;  // with its record headers; larger ones are `bad`

struct Sniffed {
  enum class State : std::uint8_t {
    more,   // it is not all there yet
    found,  // `name` is normal (host_name.h)
    bad,    // it is something else, has no name or several, or hides it (encrypted ClientHello)
  } state = State::more;
  std::string name;
};

// `octets`: all that the client has sent so far.
Sniffed sniff_client_hello(std::string_view octets);

}  // namespace lmsb::network
