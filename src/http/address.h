#pragma once
// Socket addresses as values.
#include <cstdint>
#include <string>
#include <sys/socket.h>

#include "base/result.h"

namespace lmsb::http {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  bool is_unix() const { return storage.ss_family == AF_UNIX; }
  bool is_loopback() const;  // 127.0.0.0/8, ::1, a unix socket
  // The same IPv4 address, or the same /64 of IPv6, of which one client has all: for bounds.
  bool is_same_site(const Address& other) const;
  std::uint16_t port() const;
  std::string str() const;  // "127.0.0.1:8000", "[::1]:8000", "unix"
};

// Splits "host:port" and "[host]:port"; the host without brackets.
struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
Result<HostPort> parse_host_port(const std::string& text);

// Only numeric addresses and "localhost" (127.0.0.1): never asks a name server.
Result<Address> to_address(const HostPort& from);
// Fails when the path does not fit sockaddr_un (107 octets).
Result<Address> to_unix_address(const std::string& path);

}  // namespace lmsb::http
