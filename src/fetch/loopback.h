#pragma once
// loopback: whether a URL's host, or an address, is this machine, without asking anybody.
#include <string>
#include <string_view>
#include <sys/socket.h>

namespace lmsb::fetch {

bool is_loopback(const sockaddr_storage& address);
// The host of `url` as text, without brackets.
std::string_view host_of(std::string_view url);
// Of a host: an address of loopback, or "localhost".
bool is_loopback_name(const std::string& host);

}  // namespace lmsb::fetch
