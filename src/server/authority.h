#pragma once
// Authority: "host[:port]" of a Host or Origin field, parsed strictly, so that what looks like a loopback name but is
// not ("127.0.0.1.evil.org", "localhost.", "[::1%eth0]") never passes for one.
#include <optional>
#include <string>
#include <string_view>

namespace lmsb::server {

struct Authority {
  std::string host;  // lower case; an IPv6 address keeps its brackets
  std::string port;  // digits; "" = not given

  // Nothing when `text` is not of that form; names with an empty label or a last dot are not.
  static std::optional<Authority> parse(std::string_view text);
  bool is_ip_literal() const;  // "192.0.2.1" or "[2001:db8::1]"
  bool is_loopback() const;    // "localhost", 127.0.0.0/8 or "[::1]"
};

}  // namespace lmsb::server
