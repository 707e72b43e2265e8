#pragma once
// Egress: what a sandbox may reach outside, as its user says it, and the rules that its gate keeps to. Pure.
//
// An entry is a host name ("example.com"), the names below one ("*.example.com", which example.com is not), an IPv4
// address or range ("203.0.113.0/24"), each with a port behind it or else for 80 and 443, or a group of such entries
// that the operator has named ("@packages"); or a credential of the
// operator's ("credential:github"), which goes with mode open, too.
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "guest_protocol/gate.h"

namespace lmsb::network {

struct Egress {
  guest_protocol::GateMode mode = guest_protocol::GateMode::none;
  std::vector<std::string> allow;  // entries, with GateMode::allowlist
  // Of its credentials, by name, those that an administrator gave. Nobody says it of himself: control::note_given().
  std::vector<std::string> given = {};
  bool operator==(const Egress&) const = default;
};

using Mode = guest_protocol::GateMode;
using Range = guest_protocol::GateRange;
using Rule = guest_protocol::GateRule;

const char* to_string(Mode mode);
std::optional<Mode> parse_mode(std::string_view text);

using Groups = std::map<std::string, std::vector<std::string>>;  // entries by the group's name, with its "@"

// Groups of the configuration, each "NAME=ENTRY ENTRY"; a name is of a-z, 0-9 and '-', and no group has another one in
// it. Errors (invalid_egress) name what is malformed or there twice.
Result<Groups> parse_groups(const std::vector<std::string>& texts);

// The rules of a policy. Errors (invalid_egress) name the entry: malformed, a group that there is not, more than
// kMaxGateRules rules in all, or entries in another mode than allowlist, which needs one at least.
Result<std::vector<Rule>> rules_of(const Egress& egress, const Groups& groups);
// The names of its credentials, each once. Which there are is not asked.
std::vector<std::string> credentials_of(const Egress& egress);
// The same of its form alone: which groups there are is not asked.
Status check_form(const Egress& egress);

// An entry that is little less than mode open: a range shorter than /8, or all names below a last label ("*.com").
// Nothing: there is none.
std::optional<std::string> wide_entry(std::span<const Rule> rules);

// "203.0.113.0/24" or an address; all addresses ("0.0.0.0/0") are no range. Error: invalid_egress.
Result<Range> parse_range(const std::string& text);
std::string to_string(const Range& range);
bool contains(const Range& range, std::uint32_t address);
bool overlap(const Range& a, const Range& b);

// What no policy reaches: this machine and its neighbours, other special-purpose ranges (RFC 6890), addresses at which
// clouds tell secrets. `reachable`: parts of it that the operator has opened.
bool is_always_denied(std::uint32_t address, std::span<const Range> reachable);

// Whether a rule allows it; of a name also whether some rule does for any port (port 0).
bool allows_name(std::span<const Rule> rules, std::string_view name, std::uint32_t port);
bool allows_address(std::span<const Rule> rules, std::uint32_t address, std::uint32_t port);

}  // namespace lmsb::network
