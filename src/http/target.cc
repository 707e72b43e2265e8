#include "http/target.h"

#include <algorithm>

#include "base/text.h"
#include "http/message.h"

namespace lmsb::http {
namespace {

Error bad(std::string_view why) {
  return Error(ErrorCode::invalid_argument, "malformed request target").with_cause(why);
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

// Takes "http://authority" off the front of `text`; leaves an empty path as "/".
Result<std::string> take_authority(std::string_view& text) {
  const std::size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return bad("it begins with neither '/' nor a scheme");
  const std::string_view name = text.substr(0, scheme);
  if (!same_name(name, "http") && !same_name(name, "https")) return bad("its scheme is not http");
  text.remove_prefix(scheme + 3);
  const std::size_t end = std::min(text.find_first_of("/?"), text.size());
  std::string authority(text.substr(0, end));
  text.remove_prefix(end);
  if (authority.empty() || authority.find('@') != std::string::npos) return bad("its host is missing or names a user");
  return authority;
}

Status parse_query(std::string_view text, std::map<std::string, std::string>& query) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    LMSB_TRY(std::string name, percent_decode(pair.substr(0, equals), true));
    LMSB_TRY(std::string value, percent_decode(pair.substr(std::min(equals + 1, pair.size())), true));
    query.insert_or_assign(std::move(name), std::move(value));
  }
  return Status();
}

}  // namespace

Result<std::string> percent_decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  bool escaped = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) return bad("'%' is not followed by two hexadecimal digits");
    if (high == 0 && low == 0) return bad("it contains a NUL");
    out += static_cast<char>(high * 16 + low);
    escaped = true;
    i += 2;
  }
  if (escaped && !is_utf8(out)) return bad("it is not UTF-8");
  return out;
}

std::string percent_encode(std::string_view text) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      const auto octet = static_cast<unsigned char>(c);
      out += '%';
      out += kDigits[octet >> 4U];
      out += kDigits[octet & 15U];
    }
  }
  return out;
}

Result<Target> parse_target(std::string_view text) {
  const auto allowed = [](char c) { return c > ' ' && c < '\x7f' && c != '#'; };
  if (text.empty() || !std::all_of(text.begin(), text.end(), allowed))
    return bad("it contains what no URL may contain");
  Target target;
  if (text.front() != '/') {
    LMSB_TRY(target.authority, take_authority(text));
  }
  const std::size_t mark = std::min(text.find('?'), text.size());
  const std::string_view path = mark == 0 ? std::string_view("/") : text.substr(0, mark);
  LMSB_TRY(target.path, percent_decode(path, false));
  target.encoded_path = path;
  LMSB_CHECK(parse_query(text.substr(std::min(mark + 1, text.size())), target.query));
  return target;
}

}  // namespace lmsb::http
