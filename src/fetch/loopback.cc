#include "fetch/loopback.h"

#include <arpa/inet.h>
#include <cstring>
#include <netinet/in.h>

namespace lmsb::fetch {
namespace {

bool is_loopback(const in_addr& address) { return ntohl(address.s_addr) >> 24U == 127; }
bool is_loopback(const in6_addr& address) { return std::memcmp(&address, &in6addr_loopback, sizeof address) == 0; }

}  // namespace

bool is_loopback(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) return is_loopback(reinterpret_cast<const sockaddr_in&>(address).sin_addr);
  return address.ss_family == AF_INET6 && is_loopback(reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

std::string_view host_of(std::string_view url) {
  const std::size_t scheme = url.find("://");
  url.remove_prefix(scheme == std::string_view::npos ? 0 : scheme + 3);
  url = url.substr(0, url.find_first_of("/?#\\"));
  if (const std::size_t at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
  if (url.starts_with('[')) return url.substr(1, url.find(']') - 1);
  return url.substr(0, url.find(':'));
}

bool is_loopback_name(const std::string& host) {
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, host.c_str(), &v4) == 1) return is_loopback(v4);
  if (::inet_pton(AF_INET6, host.c_str(), &v6) == 1) return is_loopback(v6);
  return host == "localhost";
}

}  // namespace lmsb::fetch
