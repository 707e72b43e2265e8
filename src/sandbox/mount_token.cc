#include "sandbox/mount_token.h"

#include <charconv>

namespace lmsb::sandbox {

std::string to_text(const MountToken& token) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : token.bytes) {
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

std::optional<MountToken> parse_mount_token(const std::string& text) {
  MountToken token;
  if (text.size() != 2 * token.bytes.size()) return std::nullopt;
  for (std::size_t i = 0; i < token.bytes.size(); ++i) {
    const char* begin = text.data() + 2 * i;
    const auto [end, error] = std::from_chars(begin, begin + 2, token.bytes[i], 16);
    if (error != std::errc() || end != begin + 2) return std::nullopt;
  }
  return token;
}

}  // namespace lmsb::sandbox
