#pragma once
// The request target: what stands between method and version in a request line (RFC 9112 section 3.2).
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace lmsb::http {

struct Target {
  std::string path;                          // percent-decoded
  std::string encoded_path;                  // as it was sent: "%2F" is no slash there
  std::map<std::string, std::string> query;  // percent-decoded, '+' is a space; the last of equal names
  std::string authority;                     // of the absolute form, else ""
};

// Reads "/path?query" and "http://host:port/path?query"; no other form. Strict: a bad escape, a NUL, octets that are
// not UTF-8 once decoded, a fragment or a control character is invalid_argument.
Result<Target> parse_target(std::string_view text);

// Percent-decodes strictly; `plus_is_space` as in forms.
Result<std::string> percent_decode(std::string_view text, bool plus_is_space);

// Escapes everything but RFC 3986's unreserved characters: for one path segment or query value.
std::string percent_encode(std::string_view text);

}  // namespace lmsb::http
