#pragma once
// Credential: a header that requests of sandboxes to one host get on their way out, so that no sandbox has the secret
// (docs/adr/0047). This is what the operator says of it; whoever puts it in has the secret itself. Pure.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lmsb::network {

// Inside, a credential's host is NAME + this, by plain HTTP at port 80. The world has no such names: they are reserved
// for private use.
constexpr std::string_view kInsideSuffix = ".internal";

struct Credential {
  std::string name;          // of a-z, 0-9 and '-'
  std::string host;          // normal (host_name.h): whom the certificate must be for
  std::uint16_t port = 443;  // of TLS
  std::string path;          // below which requests may ask, "/v1"; "": everywhere
  std::string header;        // "Authorization"
  std::string before;        // what stands before the secret in its value, "Bearer "
  std::string file;          // absolute; what is in it is the secret
  bool operator==(const Credential&) const = default;
};

using Credentials = std::map<std::string, Credential>;  // by name

// Of the configuration, each "NAME=https://HOST[:PORT][/PATH] HEADER: [TEXT ]@FILE". Errors (invalid_argument) name
// what is malformed, there twice, or too many (kMaxGateCredentials).
Result<Credentials> parse_credentials(const std::vector<std::string>& texts);

// Whether it can be a name of one.
bool is_credential_name(std::string_view name);

}  // namespace lmsb::network
