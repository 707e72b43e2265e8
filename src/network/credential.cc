#include "network/credential.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/text.h"
#include "guest_protocol/gate.h"
#include "network/credential_request.h"
#include "network/host_name.h"

namespace lmsb::network {
namespace {

// Of an entry that is malformed no more than its name is repeated, where it has one: the secret may stand in it, in
// place of the file.
Error malformed(const std::string& text, const std::string& why) {
  const std::string name = text.substr(0, text.find('='));
  const bool has_name = name.size() < text.size() && is_credential_name(name);
  return Error(ErrorCode::invalid_argument, (has_name ? "credential " + quoted(name) : "a credential") + " " + why)
      .with_hint(
          "for example \"github=https://api.github.example Authorization: Bearer @/etc/lm-sandbox/github.token\"");
}

// Takes what stands before `separator`, and that itself; nothing where there is none.
std::string take_until(std::string& text, std::string_view separator) {
  const std::size_t at = text.find(separator);
  if (at == std::string::npos) return {};
  std::string taken = text.substr(0, at);
  text.erase(0, at + separator.size());
  return taken;
}

// "api.example.com:8443/v1"
Status set_place(Credential& credential, std::string place, const std::string& text) {
  if (const std::size_t slash = place.find('/'); slash != std::string::npos) {
    credential.path = place.substr(slash);
    place.erase(slash);
    while (credential.path.ends_with('/')) credential.path.pop_back();
    if (!credential.path.empty() && !is_plain_path(credential.path))
      return malformed(text, "has a path with other than plain segments");
  }
  if (const std::size_t colon = place.find(':'); colon != std::string::npos) {
    const char* const begin = place.data() + colon + 1;
    const auto [end, error] = std::from_chars(begin, place.data() + place.size(), credential.port);
    if (error != std::errc() || end != place.data() + place.size() || credential.port == 0)
      return malformed(text, "has no port from 1 to 65535 behind the colon");
    place.erase(colon);
  }
  const auto host = normal_host_name(place);
  if (!host) return malformed(text, "needs a host by its name, which the certificate is for");
  credential.host = *host;
  return {};
}

// Those by which a request's receiver or its end is found are nobody's to set.
bool may_be_set(const std::string& header) {
  constexpr std::array<std::string_view, 8> kOthers = {
      "host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer", "expect"};
  return is_header_name(header) &&
         std::none_of(kOthers.begin(), kOthers.end(), [&](auto other) { return is_same_header(header, other); });
}

Result<Credential> parse_credential(const std::string& text) {
  constexpr std::string_view kScheme = "https://";
  Credential credential;
  std::string rest = text;
  credential.name = take_until(rest, "=");
  if (!is_credential_name(credential.name)) return malformed(text, "does not begin with NAME= of a-z, 0-9 and '-'");
  if (!rest.starts_with(kScheme)) return malformed(text, "needs an https:// address");
  rest.erase(0, kScheme.size());
  LMSB_CHECK(set_place(credential, take_until(rest, " "), text));
  credential.header = take_until(rest, ": ");
  if (!may_be_set(credential.header)) return malformed(text, "has no name of a header that could be put in");
  const std::size_t at = rest.rfind("@/");
  if (at == std::string::npos || (at > 0 && rest[at - 1] != ' '))
    return malformed(text, "does not end with @ and the absolute path of the file that has the secret");
  credential.before = rest.substr(0, at);
  credential.file = rest.substr(at + 1);
  if (!is_header_value(credential.before)) return malformed(text, "has text before the file that no header may have");
  return credential;
}

}  // namespace

bool is_credential_name(std::string_view name) {
  constexpr std::string_view kOctets = "abcdefghijklmnopqrstuvwxyz0123456789-";
  return !name.empty() && name.size() <= guest_protocol::kMaxCredentialName && !name.ends_with('-') &&
         name.find_first_not_of(kOctets) == std::string_view::npos;
}

Result<Credentials> parse_credentials(const std::vector<std::string>& texts) {
  Credentials credentials;
  for (const std::string& text : texts) {
    LMSB_TRY(Credential credential, parse_credential(text));
    const std::string name = credential.name;
    if (!credentials.emplace(name, std::move(credential)).second) return malformed(text, "is there twice");
  }
  if (credentials.size() > guest_protocol::kMaxGateCredentials)
    return Error(ErrorCode::invalid_argument, "more than 16 credentials");
  return credentials;
}

}  // namespace lmsb::network
