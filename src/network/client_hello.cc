#include "network/client_hello.h"

#include <algorithm>

#include "network/host_name.h"

namespace lmsb::network {
namespace {

constexpr std::uint8_t kHandshakeRecord = 22;
constexpr std::uint8_t kClientHello = 1;
constexpr std::size_t kRecordHeader = 5;
constexpr std::size_t kMaxRecord = 16384;
constexpr std::uint32_t kServerName = 0;
constexpr std::uint32_t kEncryptedClientHello = 0xfe0d;

// A stretch of octets that is read from its front; what is not there makes it bad for good.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : text_(text) {}
  bool is_good() const { return good_; }
  bool is_at_end() const { return text_.empty(); }
  std::uint32_t number(std::size_t octets) {
    std::uint32_t value = 0;
    for (const char c : take(octets)) value = value << 8U | static_cast<std::uint8_t>(c);
    return value;
  }
  // What stands behind its length, which is a number of so many octets.
  std::string_view vector(std::size_t length_octets) { return take(number(length_octets)); }
  std::string_view take(std::size_t size) {
    if (size > text_.size()) return good_ = false, text_ = {}, std::string_view();
    const std::string_view taken = text_.substr(0, size);
    text_.remove_prefix(size);
    return taken;
  }

 private:
  std::string_view text_;
  bool good_ = true;
};

// The handshake message, put together from its records; "" and `state`: there is none (yet).
std::string handshake_of(std::string_view octets, Sniffed::State& state) {
  std::string message;
  state = Sniffed::State::bad;
  for (;;) {
    if (message.size() >= 4) {
      const std::size_t whole = Cursor(std::string_view(message).substr(1)).number(3) + 4;
      if (static_cast<std::uint8_t>(message[0]) != kClientHello || whole > kMaxClientHello) return "";
      if (message.size() >= whole) return message.substr(0, whole);
    }
    if (!octets.empty() && static_cast<std::uint8_t>(octets[0]) != kHandshakeRecord) return "";
    if (octets.size() > 1 && octets[1] != 3) return "";
    if (octets.size() >= kRecordHeader) {
      const std::size_t size = Cursor(octets.substr(3)).number(2);
      if (size == 0 || size > kMaxRecord) return "";
      const std::size_t there = std::min(size, octets.size() - kRecordHeader);
      message += octets.substr(kRecordHeader, there);
      if (there == size) {
        octets.remove_prefix(kRecordHeader + size);
        continue;
      }
    }
    state = Sniffed::State::more;
    // What is there of the message may show already that it is none.
    if (!message.empty() && static_cast<std::uint8_t>(message[0]) != kClientHello) state = Sniffed::State::bad;
    return "";
  }
}

// The one host name of the extension; "" for anything else.
std::string name_of(std::string_view extension) {
  Cursor outer(extension);
  Cursor list(outer.vector(2));
  const std::uint32_t type = list.number(1);
  const std::string_view name = list.vector(2);
  if (!outer.is_good() || !list.is_good() || !outer.is_at_end() || !list.is_at_end() || type != 0) return "";
  if (name.ends_with('.')) return "";
  return normal_host_name(name).value_or("");
}

}  // namespace

Sniffed sniff_client_hello(std::string_view octets) {
  Sniffed sniffed;
  const std::string message = handshake_of(octets, sniffed.state);
  if (message.empty() && sniffed.state == Sniffed::State::more && octets.size() >= kMaxClientHello)
    sniffed.state = Sniffed::State::bad;
  if (message.empty()) return sniffed;
  Cursor hello(std::string_view(message).substr(4));
  (void)hello.take(2 + 32);  // version, random
  (void)hello.vector(1);     // session
  (void)hello.vector(2);     // cipher suites
  (void)hello.vector(1);     // compression methods
  Cursor extensions(hello.vector(2));
  int names = 0;
  while (hello.is_good() && extensions.is_good() && !extensions.is_at_end()) {
    const std::uint32_t type = extensions.number(2);
    const std::string_view content = extensions.vector(2);
    if (type == kEncryptedClientHello) return {Sniffed::State::bad, ""};
    if (type != kServerName) continue;
    ++names;
    sniffed.name = name_of(content);
  }
  const bool is_whole = hello.is_good() && extensions.is_good() && hello.is_at_end();
  if (!is_whole || names != 1 || sniffed.name.empty()) return {Sniffed::State::bad, ""};
  sniffed.state = Sniffed::State::found;
  return sniffed;
}

}  // namespace lmsb::network
