#pragma once
// Where an answer of a port sends its client, in the form by path: the port's own addresses stand below the path of the
// port, and no other address of ours can be named, so that a client that goes there does nothing of the API. Pure.
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace lmsb::server {

struct LocationPlace {
  std::string prefix;                                  // "/v1/sandboxes/ID/ports/PORT", as it was asked
  std::string target;                                  // behind it: what the server was asked for
  std::uint16_t port = 0;                              // of the sandbox
  std::string host;                                    // our Host
  std::function<bool(std::string_view host)> is_ours;  // whether we answer for a Host field
};

// `location` (RFC 9110 section 10.2.2) for the client. Nothing: it must not see it, since it leads to us and not to the
// port, or programs read it differently.
std::optional<std::string> confined_location(std::string_view location, const LocationPlace& place);

}  // namespace lmsb::server
