#include "network/dns.h"

#include <algorithm>

#include "network/host_name.h"

namespace lmsb::network {
namespace {

constexpr std::size_t kHeader = 12;
constexpr std::uint16_t kClassIn = 1;
constexpr std::uint8_t kResponse = 0x80;
constexpr std::uint8_t kRecursionDesired = 0x01;
constexpr std::uint8_t kRecursionAvailable = 0x80;
constexpr std::uint8_t kOpcode = 0x78;
constexpr std::uint8_t kTruncated = 0x02;

// Reads from the beginning; after the first thing that is not there everything reads as 0, and is_good() is false.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  bool is_good() const { return good_; }
  std::size_t at() const { return at_; }
  std::uint8_t octet() {
    if (at_ >= text_.size()) return good_ = false, 0;
    return static_cast<std::uint8_t>(text_[at_++]);
  }
  std::uint16_t u16() {
    const std::uint16_t high = octet();
    return static_cast<std::uint16_t>(high << 8U | octet());
  }
  std::uint32_t u32() {
    const std::uint32_t high = u16();
    return high << 16U | u16();
  }
  void skip(std::size_t count) {
    if (count > text_.size() - at_)
      good_ = false;
    else
      at_ += count;
  }
  // A name of plain labels, with dots between them; nothing else may stand in it.
  std::string labels() {
    std::string name;
    for (;;) {
      const std::uint8_t size = octet();
      if (size == 0 || !good_) return name;
      if (size > 63 || name.size() + size > 254) return good_ = false, std::string();
      if (!name.empty()) name += '.';
      for (int i = 0; i < size; ++i) {
        const char c = static_cast<char>(octet());
        name += c == '.' ? '\0' : c;  // within a label it separates nothing
      }
    }
  }
  void skip_name() {
    for (;;) {
      const std::uint8_t size = octet();
      if (size == 0 || !good_) return;
      if ((size & 0xC0U) == 0xC0U) return skip(1);
      if (size > 63) return void(good_ = false);
      skip(size);
    }
  }

 private:
  std::string_view text_;
  std::size_t at_ = 0;
  bool good_ = true;
};

void put16(std::string& out, std::uint32_t value) {
  out += static_cast<char>(value >> 8U & 0xFFU);
  out += static_cast<char>(value & 0xFFU);
}

void put32(std::string& out, std::uint32_t value) {
  put16(out, value >> 16U);
  put16(out, value & 0xFFFFU);
}

}  // namespace

std::optional<DnsQuery> parse_dns_query(std::string_view message) {
  if (message.size() > kMaxDnsMessage) return std::nullopt;
  Reader reader(message);
  DnsQuery query;
  query.id = reader.u16();
  const std::uint8_t flags = reader.octet();
  (void)reader.octet();
  const std::uint16_t questions = reader.u16();
  reader.skip(6);
  const std::string name = reader.labels();
  query.type = reader.u16();
  const std::uint16_t of_class = reader.u16();
  if (!reader.is_good() || questions != 1 || (flags & (kResponse | kOpcode)) != 0) return std::nullopt;
  query.question = message.substr(kHeader, reader.at() - kHeader);
  query.wants_recursion = (flags & kRecursionDesired) != 0;
  if (of_class == kClassIn) query.name = normal_host_name(name).value_or("");
  return query;
}

std::string dns_answer(const DnsQuery& query, DnsCode code, std::span<const std::uint32_t> addresses,
                       std::uint32_t ttl_seconds) {
  std::string out;
  put16(out, query.id);
  out += static_cast<char>(kResponse | (query.wants_recursion ? kRecursionDesired : 0));
  out += static_cast<char>(kRecursionAvailable | static_cast<std::uint8_t>(code));
  put16(out, 1);
  put16(out, static_cast<std::uint32_t>(addresses.size()));
  put32(out, 0);
  out += query.question;
  for (const std::uint32_t address : addresses) {
    put16(out, 0xC000U | kHeader);  // the name of the question
    put16(out, kTypeA);
    put16(out, kClassIn);
    put32(out, ttl_seconds);
    put16(out, 4);
    put32(out, address);
  }
  return out;
}

std::string dns_question(std::uint16_t id, std::string_view name) {
  std::string out;
  put16(out, id);
  out += static_cast<char>(kRecursionDesired);
  out += '\0';
  put16(out, 1);
  put16(out, 0);
  put32(out, 0);
  while (!name.empty()) {
    const std::string_view label = name.substr(0, name.find('.'));
    out += static_cast<char>(label.size());
    out += label;
    name.remove_prefix(std::min(label.size() + 1, name.size()));
  }
  out += '\0';
  put16(out, kTypeA);
  put16(out, kClassIn);
  return out;
}

std::optional<DnsAnswer> parse_dns_answer(std::string_view message, std::uint16_t id, std::string_view name) {
  Reader reader(message);
  const bool is_ours = reader.u16() == id;
  const std::uint8_t flags = reader.octet();
  const std::uint8_t code = reader.octet() & 0x0FU;
  const std::uint16_t questions = reader.u16();
  const std::uint16_t answers = reader.u16();
  reader.skip(4);
  const auto asked = normal_host_name(reader.labels());
  const std::uint16_t type = reader.u16();
  (void)reader.u16();
  if (!is_ours || !reader.is_good() || questions != 1 || (flags & kResponse) == 0 || asked != name || type != kTypeA)
    return std::nullopt;
  DnsAnswer answer;
  answer.code = code == 0 ? DnsCode::ok : code == 3 ? DnsCode::no_such_name : DnsCode::failure;
  answer.ttl_seconds = UINT32_MAX;
  for (std::uint16_t i = 0; i < answers; ++i) {
    reader.skip_name();
    const std::uint16_t of_type = reader.u16();
    const std::uint16_t of_class = reader.u16();
    const std::uint32_t ttl = reader.u32();
    const std::uint16_t size = reader.u16();
    const bool is_address = of_type == kTypeA && of_class == kClassIn && size == 4;
    const std::uint32_t address = is_address ? reader.u32() : (reader.skip(size), 0);
    // A message that was cut short is right up to there.
    if (!reader.is_good())
      return (flags & kTruncated) != 0 && !answer.addresses.empty() ? std::optional(answer) : std::nullopt;
    answer.ttl_seconds = std::min(answer.ttl_seconds, ttl);
    if (is_address && answer.addresses.size() < kMaxDnsAddresses) answer.addresses.push_back(address);
  }
  return answer;
}

}  // namespace lmsb::network
