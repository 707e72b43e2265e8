#include "base/text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>

#include "base/utf8.h"

namespace lmsb {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

unsigned char at(std::string_view s, std::size_t i) { return static_cast<unsigned char>(s[i]); }

std::array<std::int8_t, 256> make_decode_table() {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < kBase64.size(); ++i) table[at(kBase64, i)] = static_cast<std::int8_t>(i);
  return table;
}

}  // namespace

std::string to_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  for (std::size_t i = 0; i < bytes.size();) {
    const Utf8Sequence sequence = read_utf8_sequence(bytes, i);
    out += sequence.well_formed ? bytes.substr(i, sequence.length) : kReplacement;
    i += sequence.length;
  }
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

std::string base64_encode(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = std::uint32_t{at(bytes, i)} << 16U;
    if (have > 1) group |= std::uint32_t{at(bytes, i + 1)} << 8U;
    if (have > 2) group |= at(bytes, i + 2);
    out += kBase64[group >> 18U & 63U];
    out += kBase64[group >> 12U & 63U];
    out += have > 1 ? kBase64[group >> 6U & 63U] : '=';
    out += have > 2 ? kBase64[group & 63U] : '=';
  }
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  static const auto kTable = make_decode_table();
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::uint32_t group = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool pad = i >= text.size() - padding;
    const int value = pad ? 0 : kTable[at(text, i)];
    if (value < 0) return std::nullopt;
    group = group << 6U | static_cast<std::uint32_t>(value);
    if (i % 4 != 3) continue;
    out += static_cast<char>(group >> 16U & 255U);
    out += static_cast<char>(group >> 8U & 255U);
    out += static_cast<char>(group & 255U);
    group = 0;
  }
  out.resize(out.size() - padding);
  return out;
}

std::size_t control_size(std::string_view text, std::size_t i) {
  const unsigned char byte = at(text, i);
  if (byte < 0x20 || byte == 0x7F) return 1;
  const bool is_c1 = byte == 0xC2 && i + 1 < text.size() && at(text, i + 1) >= 0x80 && at(text, i + 1) < 0xA0;
  return is_c1 ? 2 : 0;
}

std::string quoted(std::string_view text, std::size_t max) {
  std::string out = "\"";
  const std::string shown = to_utf8(text.substr(0, max));
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const std::size_t control = control_size(shown, i);
    if (control == 2) ++i;  // known by its second octet
    if (control > 0 || shown[i] == '"' || shown[i] == '\\') {
      std::array<char, 5> escape{};
      std::snprintf(escape.data(), escape.size(), "\\x%02x", at(shown, i));
      out += escape.data();
    } else {
      out += shown[i];
    }
  }
  return out + (text.size() > max ? "...\"" : "\"");
}

std::size_t incomplete_utf8_end(std::string_view bytes) {
  constexpr std::size_t kLongest = 4;
  for (std::size_t back = 1; back < kLongest && back <= bytes.size(); ++back) {
    const auto c = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if ((c & 0xC0U) == 0x80U) continue;  // a continuation: its lead stands before it
    const std::size_t size = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1;
    return size > back ? back : 0;
  }
  return 0;
}

}  // namespace lmsb
