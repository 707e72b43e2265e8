#include "server/authority.h"

#include <algorithm>
#include <arpa/inet.h>

namespace lmsb::server {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_name_char(char c) { return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_' || c == '.'; }

bool is_host_name(const std::string& host) {
  if (host.empty() || host.size() > 253 || host.front() == '.' || host.back() == '.') return false;
  return std::all_of(host.begin(), host.end(), is_name_char) && host.find("..") == std::string::npos;
}

bool parse_v6(const std::string& bracketed, in6_addr& out) {
  if (bracketed.size() < 4 || bracketed.front() != '[' || bracketed.back() != ']') return false;
  if (bracketed.find('\0') != std::string::npos) return false;  // would end the text that is looked at below
  return inet_pton(AF_INET6, bracketed.substr(1, bracketed.size() - 2).c_str(), &out) == 1;
}

bool is_host(const std::string& host) {
  in6_addr v6{};
  return host.starts_with('[') ? parse_v6(host, v6) : is_host_name(host);
}

}  // namespace

std::optional<Authority> Authority::parse(std::string_view text) {
  std::size_t host_end = text.find(':', text.starts_with('[') ? text.find(']') : 0);
  Authority out;
  out.host = std::string(text.substr(0, host_end));
  std::transform(out.host.begin(), out.host.end(), out.host.begin(), lower);
  if (!is_host(out.host)) return std::nullopt;
  if (host_end == std::string_view::npos) return out;
  out.port = std::string(text.substr(host_end + 1));
  if (out.port.size() > 5 || !std::all_of(out.port.begin(), out.port.end(), is_digit)) return std::nullopt;
  return out;
}

bool Authority::is_ip_literal() const {
  in_addr v4{};
  in6_addr v6{};
  return inet_pton(AF_INET, host.c_str(), &v4) == 1 || parse_v6(host, v6);
}

bool Authority::is_loopback() const {
  if (host == "localhost") return true;
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24U) == 127;
  in6_addr v6{};
  return parse_v6(host, v6) && IN6_IS_ADDR_LOOPBACK(&v6);
}

}  // namespace lmsb::server
