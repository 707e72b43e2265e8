#pragma once
// PreviewHost: the name by which browsers reach a port of a sandbox, "PORT-ID.localhost". Each is an origin of its own,
// which browsers find on this machine (RFC 6761 section 6.3). Pure.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lmsb::server {

struct PreviewHost {
  std::uint16_t port = 0;
  std::string sandbox;  // a whole id

  // "3000-k3u...localhost", with any port behind it; nothing for all other names.
  static std::optional<PreviewHost> parse(std::string_view host);
  // The same of "http://3000-k3u...localhost:8000".
  static std::optional<PreviewHost> of_origin(std::string_view origin);
  std::string name() const;
};

}  // namespace lmsb::server
