#include "network/credential_request.h"

#include <algorithm>
#include <array>

namespace lmsb::network {
namespace {

constexpr std::size_t kMostOfAHead = 64U * 1024U;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

Error refused(const std::string& why) {
  return Error(ErrorCode::permission_denied, why).with_slug("credential_request_refused");
}

// Without its end; takes that too.
std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find("\r\n"));
  text.remove_prefix(std::min(text.size(), line.size() + 2));
  return line;
}

// What some hosts take the request to be for, in place of its first line. They may write it with '_'.
bool is_of_another_target(std::string_view name) {
  constexpr std::array<std::string_view, 13> kNames = {
      "x-original-url",     "x-original-uri",    "x-rewrite-url",    "x-rewrite-uri",   "x-override-url",
      "x-http-method",      "x-method-override", "x-forwarded-path", "x-forwarded-uri", "x-http-method-override",
      "x-forwarded-prefix", "x-forwarded-host",  "forwarded"};
  std::string plain(name);
  std::replace(plain.begin(), plain.end(), '_', '-');
  return std::any_of(kNames.begin(), kNames.end(), [&](auto other) { return is_same_header(plain, other); });
}

std::string_view name_of(std::string_view line) { return line.substr(0, line.find(':')); }

// Of the list behind a field's name.
std::string_view last_coding(std::string_view line) {
  line.remove_prefix(line.find_last_of(":,") + 1);
  while (line.starts_with(' ') || line.starts_with('\t')) line.remove_prefix(1);
  while (line.ends_with(' ') || line.ends_with('\t')) line.remove_suffix(1);
  return line;
}

Status check_first(const Credential& credential, std::string_view first) {
  const std::string_view method = first.substr(0, first.find(' '));
  for (const std::string_view telling : {"TRACE", "TRACK"})
    if (is_same_header(method, telling)) return refused("method " + std::string(method) + " would tell the credential");
  const std::string_view target = first.substr(method.size() + 1, first.rfind(' ') - method.size() - 1);
  if (!target.starts_with('/') || target.find('#') != std::string_view::npos)
    return refused("the request is for no path");
  if (credential.path.empty()) return {};
  const std::string_view path = target.substr(0, target.find('?'));
  const bool is_below = path.starts_with(credential.path) &&
                        (path.size() == credential.path.size() || path[credential.path.size()] == '/');
  const std::string_view bare = path.ends_with('/') ? path.substr(0, path.size() - 1) : path;
  if (is_below && is_plain_path(bare)) return {};
  return refused("the credential is for paths below " + credential.path + " alone");
}

}  // namespace

bool is_same_header(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

bool is_header_name(std::string_view name) {
  const auto is_one = [](char c) {
    return (c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '-' || c == '_';
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), is_one);
}

bool is_header_value(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

bool is_plain_path(std::string_view path) {
  std::string text;
  for (const char c : path) text += lower(c);
  if (!text.starts_with('/')) return false;
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; })) return false;
  for (const char* other : {"%25", "%2e", "%2f", "%5c", "\\", "?", "#", ";", "%00", "//"})
    if (text.find(other) != std::string::npos) return false;
  for (const char* dots : {"/./", "/../"})
    if ((text + "/").find(dots) != std::string::npos) return false;
  return !text.ends_with('/');
}

Result<std::string> request_with(const Credential& credential, std::string_view secret, const RequestHead& head) {
  if (head.host != credential.name + std::string(kInsideSuffix)) return refused("the request is for another host");
  std::string_view rest = head.rewritten;
  const std::string_view first = take_line(rest);
  LMSB_CHECK(check_first(credential, first));
  std::string out = std::string(first) + "\r\nHost: " + credential.host;
  if (credential.port != 443) out += ":" + std::to_string(credential.port);
  out += "\r\n" + credential.header + ": " + credential.before + std::string(secret) + "\r\n";
  while (!rest.empty()) {
    const std::string_view line = take_line(rest);
    const std::string_view name = name_of(line);
    if (is_same_header(name, "host") || is_same_header(name, credential.header)) continue;
    if (!credential.path.empty() && is_of_another_target(name)) continue;
    out.append(line).append("\r\n");
  }
  return out;
}

void AnswerFraming::take(std::string_view octets) {
  if (is_read_) return;
  head_.append(octets.substr(0, kMostOfAHead - head_.size()));
  for (std::size_t end = 0; !is_read_ && (end = head_.find("\r\n\r\n")) != std::string::npos;) {
    read_head(std::string_view(head_).substr(0, end + 2));
    head_.erase(0, end + 4);
  }
  if (head_.size() >= kMostOfAHead) is_read_ = true;
  if (is_read_) head_ = {};
}

void AnswerFraming::read_head(std::string_view head) {
  const std::string_view first = take_line(head);
  const std::string_view status = first.substr(std::min(first.find(' '), first.size() - 1) + 1, 3);
  if (status.starts_with('1')) return;  // another one follows
  is_read_ = true;
  is_said_ = status == "204" || status == "304";
  bool is_coded = false;  // then its length says nothing, and with another coding at the end it lasts until the
                          // connection's end (RFC 9112 section 6.3)
  while (!head.empty()) {
    const std::string_view line = take_line(head);
    const std::string_view name = name_of(line);
    if (is_same_header(name, "transfer-encoding")) {
      is_coded = true;
      is_said_ = is_same_header(last_coding(line), "chunked");
    } else if (is_same_header(name, "content-length") && !is_coded) {
      is_said_ = true;
    }
  }
}

}  // namespace lmsb::network
