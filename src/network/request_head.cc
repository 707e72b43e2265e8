#include "network/request_head.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "network/host_name.h"

namespace lmsb::network {
namespace {

constexpr std::uint64_t kMaxChunk = 1ULL << 40U;
constexpr std::size_t kMaxNamed = 1024;  // octets of names in Connection

bool is_token_octet(char c) {
  if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) return true;
  return std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) { return !text.empty() && std::all_of(text.begin(), text.end(), is_token_octet); }

bool is_visible(char c) { return c > 0x20 && c != 0x7f; }  // octets above 127 are negative: none
bool is_value_octet(char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f); }

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// What is between the two ends of one connection alone, whatever Connection says.
bool is_of_connection(const std::string& name) {
  constexpr std::array<std::string_view, 8> kNames = {"connection", "keep-alive",     "proxy-connection",
                                                      "upgrade",    "http2-settings", "proxy-authorization",
                                                      "te",         "trailer"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

std::string_view next_line(std::string_view& text) {
  const std::size_t end = text.find("\r\n");
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(text.size(), line.size() + 2));
  return line;
}

// The fields that Connection names, in lower case, each between commas: they are of this connection, too (RFC 9110
// section 7.6.1).
std::string named_by_connection(std::string_view fields) {
  std::string names = ",";
  while (!fields.empty()) {
    const std::string line = lower(next_line(fields));
    const std::size_t colon = line.find(':');
    if (line.substr(0, colon) != "connection" || colon == std::string::npos) continue;
    for (const char c : line.substr(colon + 1))
      if (c != ' ' && c != '\t') names += c;
    names += ',';
  }
  return names;
}

bool is_request_line(std::string_view line) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || last <= first) return false;
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  const bool is_path =
      (target.starts_with('/') || target == "*") && std::all_of(target.begin(), target.end(), is_visible);
  return is_token(line.substr(0, first)) && line.substr(0, first) != "CONNECT" && is_path &&
         (version == "HTTP/1.1" || version == "HTTP/1.0");
}

// The name of "name" or "name:port".
std::optional<std::string> host_of(std::string_view value, std::uint32_t port) {
  if (const std::size_t colon = value.find(':'); colon != std::string_view::npos) {
    if (value.substr(colon + 1) != std::to_string(port)) return std::nullopt;
    value = value.substr(0, colon);
  }
  if (value.ends_with('.')) return std::nullopt;
  return normal_host_name(value);
}

// Takes what the gate must know of one field; false: it may not be there so.
class Fields {
 public:
  explicit Fields(std::uint32_t port) : port_(port) {}
  bool take(const std::string& name, std::string_view value) {
    if (name == "host") {
      host = host_of(value, port_).value_or("");
      return ++hosts_ == 1 && !host.empty();
    }
    if (name == "content-length") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
      return ++lengths_ == 1 && error == std::errc() && end == value.data() + value.size();
    }
    if (name == "transfer-encoding") {
      is_chunked = lower(value) == "chunked";
      return ++encodings_ == 1 && is_chunked;
    }
    return true;
  }
  bool are_whole() const { return hosts_ == 1 && lengths_ + encodings_ <= 1; }
  std::string host;
  std::uint64_t length = 0;
  bool is_chunked = false;

 private:
  std::uint32_t port_;
  int hosts_ = 0;
  int lengths_ = 0;
  int encodings_ = 0;
};

}  // namespace

RequestHead read_request_head(std::string_view octets, std::uint32_t port, std::size_t most) {
  RequestHead head;
  const std::size_t end = octets.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    const std::size_t line = octets.find("\r\n");
    const bool is_text = line == std::string_view::npos ? octets.empty() || is_token_octet(octets.front())
                                                        : is_request_line(octets.substr(0, line));
    head.state = is_text && octets.size() < most ? RequestHead::State::more : RequestHead::State::bad;
    return head;
  }
  head.state = RequestHead::State::bad;
  if (end > most) return head;
  std::string_view rest = octets.substr(0, end + 2);
  const std::string_view first = next_line(rest);
  if (!is_request_line(first)) return head;
  const std::string named = named_by_connection(rest);
  if (named.size() > kMaxNamed) return head;
  for (const char* framing : {",host,", ",content-length,", ",transfer-encoding,"})
    if (named.find(framing) != std::string::npos) return head;
  Fields fields(port);
  std::string rewritten = std::string(first) + "\r\n";
  while (!rest.empty()) {
    const std::string_view line = next_line(rest);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return head;
    const std::string name = lower(line.substr(0, colon));
    const std::string_view value = trim(line.substr(colon + 1));
    if (!std::all_of(value.begin(), value.end(), is_value_octet) || !fields.take(name, value)) return head;
    const bool ends_here = is_of_connection(name) || named.find("," + name + ",") != std::string::npos;
    if (!ends_here) rewritten.append(line.substr(0, colon)).append(": ").append(value).append("\r\n");
  }
  if (!fields.are_whole() || (fields.is_chunked && !first.ends_with("1.1"))) return head;
  head.state = RequestHead::State::found;
  head.host = std::move(fields.host);
  head.size = end + 4;
  head.rewritten = std::move(rewritten) + "Connection: close\r\n\r\n";
  head.is_chunked = fields.is_chunked;
  head.body_bytes = fields.length;
  return head;
}

std::size_t RequestBody::take(std::string_view octets) {
  if (!is_chunked_) {
    const std::size_t taken = static_cast<std::size_t>(std::min<std::uint64_t>(left_, octets.size()));
    left_ -= taken;
    return taken;
  }
  std::size_t at = 0;
  while (at < octets.size() && state_ != State::end && state_ != State::bad) {
    if (state_ == State::data) {
      const auto part = static_cast<std::size_t>(std::min<std::uint64_t>(left_, octets.size() - at));
      left_ -= part;
      at += part;
      if (left_ == 0) state_ = State::data_end;
      continue;
    }
    step(octets[at]);
    if (state_ != State::bad) ++at;
  }
  return at;
}

// One octet between chunks' data.
void RequestBody::step(char c) {
  const auto expect = [this, c](char wanted, State then) { state_ = c == wanted ? then : State::bad; };
  switch (state_) {
    case State::size: {
      const std::string_view hex = "0123456789abcdef";
      const std::size_t digit = hex.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
      if (digit != std::string_view::npos) {
        left_ = left_ * 16 + digit;
        ++digits_;
        if (left_ > kMaxChunk || digits_ > 16) state_ = State::bad;
        return;
      }
      if (digits_ == 0) return void(state_ = State::bad);
      return expect('\r', State::size_end);  // no extensions: nobody sends them, and readers differ
    }
    case State::size_end: digits_ = 0; return expect('\n', left_ == 0 ? State::trailer : State::data);
    case State::data_end: return expect('\r', State::data_lf);
    case State::data_lf: return expect('\n', State::size);
    case State::trailer: return expect('\r', State::trailer_lf);  // no trailers, for the same reason
    case State::trailer_lf: return expect('\n', State::end);
    case State::data:
    case State::end:
    case State::bad: return;
  }
}

}  // namespace lmsb::network
