#pragma once
// dns: the few DNS messages that a gate reads and writes: questions for the addresses of a name (RFC 1035). Pure; what
// is malformed is nothing.
//
// Answers are read without following compression: whoever owns the records, the question was ours, and the addresses in
// the answer section are what the name leads to.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lmsb::network {

constexpr std::uint16_t kTypeA = 1;
constexpr std::size_t kMaxDnsMessage = 1472;  // octets of a query or answer that is looked at

struct DnsQuery {
  std::uint16_t id = 0;
  bool wants_recursion = false;
  std::uint16_t type = 0;
  std::string name;      // normal (host_name.h); "" = it can be nobody's here
  std::string question;  // as it was spelled, to be sent back
};

enum class DnsCode : std::uint8_t { ok = 0, failure = 2, no_such_name = 3, refused = 5 };

// A standard query with one question.
std::optional<DnsQuery> parse_dns_query(std::string_view message);
// With `addresses` (host order), which may be none.
std::string dns_answer(const DnsQuery& query, DnsCode code, std::span<const std::uint32_t> addresses,
                       std::uint32_t ttl_seconds);

// A question for the IPv4 addresses of a normal name.
std::string dns_question(std::uint16_t id, std::string_view name);

struct DnsAnswer {
  DnsCode code = DnsCode::ok;
  std::vector<std::uint32_t> addresses;  // host order; at most kMaxDnsAddresses
  std::uint32_t ttl_seconds = 0;         // the least of them
};
constexpr std::size_t kMaxDnsAddresses = 32;
// The answer to dns_question(id, name). What answers something else is nothing.
std::optional<DnsAnswer> parse_dns_answer(std::string_view message, std::uint16_t id, std::string_view name);

}  // namespace lmsb::network
