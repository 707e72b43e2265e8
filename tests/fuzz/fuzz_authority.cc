// A Host field, or an Origin's host: what passes for this machine's name.
#include <algorithm>
#include <string>

#include "fuzz.h"
#include "server/authority.h"

namespace {

using lmsb::server::Authority;

void check(const Authority& authority) {
  const auto is_known = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("-_.:[]%").find(c) != std::string_view::npos;
  };
  LMSB_ASSERT(!authority.host.empty() && std::all_of(authority.host.begin(), authority.host.end(), is_known));
  LMSB_ASSERT(authority.port.size() <= 5 && authority.host.size() <= 253);
  if (authority.is_loopback())
    LMSB_ASSERT(authority.host == "localhost" || authority.host.starts_with("127.") || authority.is_ip_literal());
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto authority = Authority::parse(lmsb::fuzz::text_of(data, size));
  if (!authority) return 0;
  check(*authority);
  // Written out, it is read as the same.
  const auto again = Authority::parse(authority->host + (authority->port.empty() ? "" : ":" + authority->port));
  LMSB_ASSERT(again && again->host == authority->host && again->port == authority->port);
  LMSB_ASSERT(again->is_loopback() == authority->is_loopback());
  return 0;
}
