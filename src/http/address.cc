#include "http/address.h"

#include <arpa/inet.h>
#include <array>
#include <charconv>
#include <cstring>
#include <netinet/in.h>
#include <sys/un.h>

#include "base/text.h"

namespace lmsb::http {
namespace {

sockaddr_in to_v4(const sockaddr_storage& from) {
  sockaddr_in in{};
  std::memcpy(&in, &from, sizeof in);
  return in;
}

sockaddr_in6 to_v6(const sockaddr_storage& from) {
  sockaddr_in6 in{};
  std::memcpy(&in, &from, sizeof in);
  return in;
}

Error bad_address(const std::string& text) {
  return Error(ErrorCode::invalid_argument, quoted(text) + " is not an address")
      .with_hint("write ADDR:PORT, for example 127.0.0.1:8000 or [::1]:8000; port 0 takes any free one");
}

}  // namespace

bool Address::is_loopback() const {
  if (storage.ss_family == AF_INET) return ntohl(to_v4(storage).sin_addr.s_addr) >> 24U == 127;
  if (storage.ss_family == AF_INET6) {
    const in6_addr host = to_v6(storage).sin6_addr;
    return std::memcmp(&host, &in6addr_loopback, sizeof host) == 0;
  }
  return is_unix();
}

bool Address::is_same_site(const Address& other) const {
  if (storage.ss_family != other.storage.ss_family) return false;
  if (storage.ss_family == AF_INET) return to_v4(storage).sin_addr.s_addr == to_v4(other.storage).sin_addr.s_addr;
  if (storage.ss_family != AF_INET6) return true;
  const in6_addr ours = to_v6(storage).sin6_addr;
  const in6_addr theirs = to_v6(other.storage).sin6_addr;
  constexpr std::size_t kNetwork = 8;  // octets
  const bool is_mapped = IN6_IS_ADDR_V4MAPPED(&ours) != 0;
  return std::memcmp(&ours, &theirs, is_mapped ? sizeof ours : kNetwork) == 0;
}

std::uint16_t Address::port() const {
  if (storage.ss_family == AF_INET) return ntohs(to_v4(storage).sin_port);
  if (storage.ss_family == AF_INET6) return ntohs(to_v6(storage).sin6_port);
  return 0;
}

std::string Address::str() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (storage.ss_family == AF_INET) {
    const in_addr host = to_v4(storage).sin_addr;
    ::inet_ntop(AF_INET, &host, text.data(), text.size());
    return std::string(text.data()) + ":" + std::to_string(port());
  }
  if (storage.ss_family == AF_INET6) {
    const in6_addr host = to_v6(storage).sin6_addr;
    ::inet_ntop(AF_INET6, &host, text.data(), text.size());
    return "[" + std::string(text.data()) + "]:" + std::to_string(port());
  }
  return "unix";
}

Result<HostPort> parse_host_port(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return bad_address(text);
  HostPort result;
  result.host = text.substr(0, colon);
  if (result.host.front() == '[' && result.host.back() == ']') {
    result.host = result.host.substr(1, result.host.size() - 2);
  } else if (result.host.find(':') != std::string::npos) {
    return bad_address(text);  // an IPv6 address without brackets
  }
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, result.port);
  if (parsed.ec != std::errc() || parsed.ptr != end || result.host.empty()) return bad_address(text);
  return result;
}

Result<Address> to_address(const HostPort& from) {
  const std::string host = from.host == "localhost" ? "127.0.0.1" : from.host;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  Address address;
  if (::inet_pton(AF_INET, host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(from.port);
    std::memcpy(&address.storage, &v4, sizeof v4);
    address.size = sizeof v4;
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(from.port);
    std::memcpy(&address.storage, &v6, sizeof v6);
    address.size = sizeof v6;
  } else {
    return bad_address(from.host);
  }
  return address;
}

Result<Address> to_unix_address(const std::string& path) {
  sockaddr_un un{};
  if (path.empty() || path.size() >= sizeof un.sun_path) {
    return Error(ErrorCode::invalid_argument, "socket path " + quoted(path) + " is empty or longer than 107 octets");
  }
  un.sun_family = AF_UNIX;
  std::memcpy(un.sun_path, path.data(), path.size());
  Address address;
  std::memcpy(&address.storage, &un, sizeof un);
  address.size = sizeof un;
  return address;
}

}  // namespace lmsb::http
