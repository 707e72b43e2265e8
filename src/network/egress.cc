#include "network/egress.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "network/credential.h"
#include "network/host_name.h"

namespace lmsb::network {
namespace {

using Kind = Rule::Kind;

constexpr std::string_view kCredential = "credential:";

constexpr std::uint32_t at(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  return a << 24U | b << 16U | c << 8U | d;
}

constexpr std::array kAlwaysDenied = {
    Range{at(0, 0, 0, 0), 8},         // this network
    Range{at(10, 0, 0, 0), 8},        // private
    Range{at(100, 64, 0, 0), 10},     // carriers' own; a cloud's metadata at 100.100.100.200
    Range{at(127, 0, 0, 0), 8},       // loopback
    Range{at(168, 63, 129, 16), 32},  // a cloud's host
    Range{at(169, 254, 0, 0), 16},    // link-local; clouds' metadata
    Range{at(172, 16, 0, 0), 12},     // private
    Range{at(192, 0, 0, 0), 24},      // special purposes, sandboxes' own address
    Range{at(192, 0, 2, 0), 24},      // documentation
    Range{at(192, 88, 99, 0), 24},    // 6to4 relays
    Range{at(192, 168, 0, 0), 16},    // private
    Range{at(198, 18, 0, 0), 15},     // benchmarks; gates' own
    Range{at(198, 51, 100, 0), 24},   // documentation
    Range{at(203, 0, 113, 0), 24},    // documentation
    Range{at(224, 0, 0, 0), 4},       // multicast
    Range{at(240, 0, 0, 0), 4}};      // reserved, broadcast

Error invalid(const std::string& entry, const std::string& why) {
  return Error(ErrorCode::invalid_argument, "egress: " + quoted(entry) + " " + why)
      .with_slug("invalid_egress")
      .with_hint(
          "an entry is a name, *.NAME, an IPv4 address or range, each perhaps with :PORT, or @GROUP, one of [network] "
          "groups, or credential:NAME, one of [network] credentials");
}

// From 1.
std::optional<std::uint32_t> parse_number(std::string_view text, std::uint32_t most) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_whole = error == std::errc() && end == text.data() + text.size() && !text.starts_with('0');
  return is_whole && value <= most ? std::optional(value) : std::nullopt;
}

bool looks_like_an_address(std::string_view text) {
  return text.find_first_not_of("0123456789./") == std::string_view::npos;
}

Status set_name(Rule& rule, const std::string& entry, std::string_view text) {
  if (text == "*") return invalid(entry, "allows everything: that is mode open");
  rule.kind = text.starts_with("*.") ? Kind::subdomains : Kind::name;
  if (rule.kind == Kind::subdomains) text.remove_prefix(2);
  const auto name = normal_host_name(text);
  if (!name) return invalid(entry, "is no host name (other letters than ASCII are written as xn--...)");
  (void)name->copy(rule.name.data(), name->size());
  return {};
}

Result<Rule> parse_entry(const std::string& entry) {
  Rule rule;
  std::string_view text = entry;
  if (std::count(text.begin(), text.end(), ':') > 1) return invalid(entry, "is IPv6, which sandboxes do not have");
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    const auto port = parse_number(text.substr(colon + 1), 65535);
    if (!port) return invalid(entry, "has no port from 1 to 65535 behind the colon");
    rule.port = *port;
    text = text.substr(0, colon);
  }
  if (looks_like_an_address(text)) {
    rule.kind = Kind::range;
    LMSB_TRY(rule.range, parse_range(std::string(text)));
    return rule;
  }
  LMSB_CHECK(set_name(rule, entry, text));
  return rule;
}

bool is_group_name(std::string_view name) {
  return !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

// Without `groups` a group counts as one rule, of nothing.
Status add_entry(std::vector<Rule>& rules, const std::string& entry, const Groups* groups) {
  if (!entry.starts_with('@')) {
    LMSB_TRY(Rule rule, parse_entry(entry));
    rules.push_back(rule);
    return {};
  }
  if (!is_group_name(std::string_view(entry).substr(1))) return invalid(entry, "is no name of a group");
  if (groups == nullptr) {
    rules.emplace_back();
    return {};
  }
  const auto group = groups->find(entry);
  if (group == groups->end()) return invalid(entry, "is no group of this machine");
  for (const std::string& one : group->second) {
    LMSB_TRY(Rule rule, parse_entry(one));
    rules.push_back(rule);
  }
  return {};
}

Result<std::vector<Rule>> read(const Egress& egress, const Groups* groups) {
  std::vector<Rule> rules;
  const std::vector<std::string> credentials = credentials_of(egress);
  for (const std::string& name : credentials)
    if (!is_credential_name(name)) return invalid(std::string(kCredential) + name, "is no name of a credential");
  if (credentials.size() > guest_protocol::kMaxGateCredentials)
    return Error(ErrorCode::invalid_argument, "egress: more than 16 credentials").with_slug("invalid_egress");
  for (const std::string& entry : egress.allow) {
    if (entry.starts_with(kCredential)) continue;
    LMSB_CHECK(add_entry(rules, entry, groups));
    if (rules.size() > guest_protocol::kMaxGateRules)
      return Error(ErrorCode::invalid_argument, "egress: more than 128 entries").with_slug("invalid_egress");
  }
  if (egress.mode == Mode::none && !credentials.empty())
    return Error(ErrorCode::invalid_argument, "egress: credentials are for modes allowlist and open")
        .with_slug("invalid_egress");
  if (egress.mode != Mode::allowlist && !rules.empty())
    return Error(ErrorCode::invalid_argument, "egress: entries of allow are for mode allowlist")
        .with_slug("invalid_egress");
  if (egress.mode == Mode::allowlist && rules.empty() && credentials.empty())
    return Error(ErrorCode::invalid_argument, "egress: mode allowlist needs an entry in allow")
        .with_slug("invalid_egress")
        .with_hint("for no network at all: mode none");
  return rules;
}

bool is_port_of(const Rule& rule, std::uint32_t port) {
  return rule.port == 0 ? port == 80 || port == 443 : rule.port == port;
}

// More than somebody who lists what he needs can mean.
bool is_wide(const Rule& rule) {
  constexpr std::uint32_t kShortest = 8;
  if (rule.kind == Kind::range) return rule.range.prefix < kShortest;
  return rule.kind == Kind::subdomains && std::string_view(rule.name.data()).find('.') == std::string_view::npos;
}

bool is_name_of(const Rule& rule, std::string_view name) {
  if (rule.kind == Kind::name) return name == rule.name.data();
  return rule.kind == Kind::subdomains && is_below(name, rule.name.data());
}

}  // namespace

const char* to_string(Mode mode) {
  switch (mode) {
    case Mode::none: return "none";
    case Mode::allowlist: return "allowlist";
    case Mode::open: return "open";
  }
  return "unknown";
}

std::optional<Mode> parse_mode(std::string_view text) {
  for (const Mode mode : {Mode::none, Mode::allowlist, Mode::open})
    if (text == to_string(mode)) return mode;
  return std::nullopt;
}

std::string to_string(const Range& range) { return ipv4_text(range.address) + "/" + std::to_string(range.prefix); }

Result<Groups> parse_groups(const std::vector<std::string>& texts) {
  Groups groups;
  for (const std::string& text : texts) {
    const std::size_t equals = std::min(text.find('='), text.size());
    const std::string name = text.substr(0, equals);
    if (!is_group_name(name) || equals == text.size()) return invalid(text, "is not NAME=ENTRY ENTRY");
    std::vector<std::string> entries;
    for (std::size_t at = equals; at < text.size(); at = std::min(text.find(' ', at + 1), text.size()))
      entries.push_back(text.substr(at + 1, text.find(' ', at + 1) - at - 1));
    for (const std::string& entry : entries)
      if (entry.starts_with(kCredential)) return invalid(text, "has a credential: groups are of hosts");
    LMSB_CHECK(rules_of({Mode::allowlist, entries}, {}));
    if (!groups.emplace("@" + name, std::move(entries)).second) return invalid(text, "is there twice");
  }
  return groups;
}

Result<std::vector<Rule>> rules_of(const Egress& egress, const Groups& groups) { return read(egress, &groups); }

std::vector<std::string> credentials_of(const Egress& egress) {
  std::vector<std::string> names;
  for (const std::string& entry : egress.allow) {
    const std::string name = entry.starts_with(kCredential) ? entry.substr(kCredential.size()) : "";
    const bool is_new = std::find(names.begin(), names.end(), name) == names.end();
    if (entry.starts_with(kCredential) && is_new) names.push_back(name);
  }
  return names;
}

Status check_form(const Egress& egress) {
  LMSB_CHECK(read(egress, nullptr));
  return {};
}

std::optional<std::string> wide_entry(std::span<const Rule> rules) {
  const auto found = std::find_if(rules.begin(), rules.end(), is_wide);
  if (found == rules.end()) return std::nullopt;
  if (found->kind == Kind::subdomains) return "*." + std::string(found->name.data());
  return to_string(found->range);
}

Result<Range> parse_range(const std::string& text) {
  const std::size_t slash = text.find('/');
  const auto address = parse_ipv4(std::string_view(text).substr(0, slash));
  if (!address) return invalid(text, "is no IPv4 address");
  Range range{*address, 32};
  if (slash != std::string::npos) {
    const auto prefix = parse_number(std::string_view(text).substr(slash + 1), 32);
    if (!prefix) return invalid(text, "has no length from 1 to 32 behind the slash");
    range.prefix = *prefix;
  }
  if (!contains(range, range.address) || (range.prefix < 32 && (range.address << range.prefix) != 0))
    return invalid(text, "has bits behind its length");
  return range;
}

bool contains(const Range& range, std::uint32_t address) {
  if (range.prefix == 0) return true;
  if (range.prefix > 32) return false;
  return (range.address ^ address) >> (32U - range.prefix) == 0;
}

bool overlap(const Range& a, const Range& b) { return contains(a, b.address) || contains(b, a.address); }

bool is_always_denied(std::uint32_t address, std::span<const Range> reachable) {
  const auto has = [address](const Range& range) { return contains(range, address); };
  if (std::none_of(kAlwaysDenied.begin(), kAlwaysDenied.end(), has)) return false;
  return std::none_of(reachable.begin(), reachable.end(), has);
}

bool allows_name(std::span<const Rule> rules, std::string_view name, std::uint32_t port) {
  return std::any_of(rules.begin(), rules.end(),
                     [&](const Rule& rule) { return is_name_of(rule, name) && (port == 0 || is_port_of(rule, port)); });
}

bool allows_address(std::span<const Rule> rules, std::uint32_t address, std::uint32_t port) {
  return std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) {
    return rule.kind == Kind::range && contains(rule.range, address) && is_port_of(rule, port);
  });
}

}  // namespace lmsb::network
