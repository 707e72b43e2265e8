#pragma once
// host_name: names as policies, DNS queries, Host lines and ClientHellos spell them, brought into one form. Pure.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lmsb::network {

// Lower case, without the dot at the end. Nothing for what is no host name here: other octets than letters, digits,
// hyphens and underscores in labels of 1 to 63, more than 253 octets in all, a hyphen at the end of a label, and
// whatever some program could take for an address (its last label is a number).
std::optional<std::string> normal_host_name(std::string_view text);

// Whether `name` lies below `parent`: not `parent` itself. Both are normal.
bool is_below(std::string_view name, std::string_view parent);

// Whether a normal name means something to the machine's own network alone, if to anybody: one label, or below a last
// label that nobody has registered (RFC 6761, 6762, 8375, and what routers and clouds use).
bool is_local_name(std::string_view name);

// Dotted decimal, all four parts, no leading zeros; in host order.
std::optional<std::uint32_t> parse_ipv4(std::string_view text);
std::string ipv4_text(std::uint32_t address);

}  // namespace lmsb::network
