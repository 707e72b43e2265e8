// What a sandbox sends to its gate, and what name servers answer: names, DNS messages, the heads of HTTP and TLS.
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "fuzz.h"
#include "network/client_hello.h"
#include "network/dns.h"
#include "network/egress.h"
#include "network/host_name.h"
#include "network/request_head.h"

namespace {

using namespace lmsb::network;  // NOLINT(google-build-using-namespace): all of it is of there

void names(std::string_view text) {
  if (const auto name = normal_host_name(text)) LMSB_ASSERT(normal_host_name(*name) == name);
  if (const auto address = parse_ipv4(text)) LMSB_ASSERT(ipv4_text(*address) == text);
  const auto rules = rules_of({Mode::allowlist, {std::string(text)}}, {});
  if (!rules.ok()) return;
  for (const Rule& rule : *rules) LMSB_ASSERT(rule.name.back() == '\0' && rule.range.prefix <= 32);
}

void dns(std::string_view text) {
  if (const auto query = parse_dns_query(text)) {
    const std::uint32_t address = 1;
    const std::string answer = dns_answer(*query, DnsCode::ok, {&address, 1}, 60);
    if (!query->name.empty() && query->type == kTypeA)
      LMSB_ASSERT(parse_dns_answer(answer, query->id, query->name)->addresses.size() == 1);
  }
  const std::uint16_t id =
      text.size() < 2
          ? 0
          : static_cast<std::uint16_t>(static_cast<unsigned char>(text[0]) << 8U | static_cast<unsigned char>(text[1]));
  if (const auto answer = parse_dns_answer(text, id, "a.test"))
    LMSB_ASSERT(answer->addresses.size() <= kMaxDnsAddresses);
}

// What is found in a piece is what is found in all of it.
void hello(std::string_view text) {
  const Sniffed whole = sniff_client_hello(text);
  if (whole.state == Sniffed::State::found) LMSB_ASSERT(normal_host_name(whole.name) == whole.name);
  const Sniffed part = sniff_client_hello(text.substr(0, text.size() / 2));
  if (part.state == Sniffed::State::found) LMSB_ASSERT(whole.state == part.state && whole.name == part.name);
}

// What goes out is read as what came in, and has no more than one request in it.
void request(std::string_view text) {
  const RequestHead head = read_request_head(text, 80);
  if (head.state != RequestHead::State::found) return;
  LMSB_ASSERT(head.size <= text.size() && normal_host_name(head.host) == head.host);
  const RequestHead again = read_request_head(head.rewritten, 80);
  LMSB_ASSERT(again.state == RequestHead::State::found && again.host == head.host &&
              again.size == head.rewritten.size());
  LMSB_ASSERT(again.is_chunked == head.is_chunked && again.body_bytes == head.body_bytes);
  const std::string_view body = text.substr(head.size);
  RequestBody at_once(head);
  RequestBody octet_by_octet(head);
  const std::size_t taken = at_once.take(body);
  std::size_t steps = 0;
  while (steps < body.size() && octet_by_octet.take(body.substr(steps, 1)) == 1) ++steps;
  LMSB_ASSERT(taken == steps && at_once.has_ended() == octet_by_octet.has_ended());
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0: names(text); break;
    case 1: dns(text); break;
    case 2: hello(text); break;
    default: request(text); break;
  }
  return 0;
}
