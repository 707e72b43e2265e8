#include "os/tar_block.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace lmsb::os::tar {

bool is_zero(const Block& block) {
  return std::all_of(block.begin(), block.end(), [](char octet) { return octet == 0; });
}

void put_octal(Block& block, std::size_t at, int digits, std::uint64_t value) {
  std::snprintf(block.data() + at, static_cast<std::size_t>(digits) + 1, "%0*llo", digits,
                static_cast<unsigned long long>(value));
}

void put_text(Block& block, std::size_t at, std::string_view text) {
  std::copy_n(text.data(), std::min(text.size(), kNameSize), block.data() + at);
}

void put_magic_and_sum(Block& block) {
  std::memcpy(block.data() + kMagicAt,
              "ustar\0"
              "00",
              8);
  std::memset(block.data() + kSumAt, ' ', 8);
  unsigned sum = 0;
  for (const char octet : block) sum += static_cast<unsigned char>(octet);
  std::snprintf(block.data() + kSumAt, 8, "%06o", sum);
}

std::size_t put_record(char* at, std::size_t room, std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;  // ' ', '=', '\n'
  std::size_t size = rest + 1;
  while (size != rest + static_cast<std::size_t>(std::snprintf(nullptr, 0, "%zu", size))) ++size;
  if (size > room) return 0;
  std::array<char, 24> head{};
  const int digits = std::snprintf(head.data(), head.size(), "%zu ", size);
  char* to = std::copy_n(head.data(), digits, at);
  to = std::copy_n(key.data(), key.size(), to);
  *to++ = '=';
  to = std::copy_n(value.data(), value.size(), to);
  *to = '\n';
  return size;
}

std::string_view text_at(const Block& block, std::size_t at, std::size_t size) {
  const char* const text = block.data() + at;
  return {text, ::strnlen(text, size)};
}

bool number_at(const Block& block, std::size_t at, std::size_t size, std::uint64_t& value) {
  value = 0;
  if ((static_cast<unsigned char>(block[at]) & 0x80U) != 0) {
    for (std::size_t i = 0; i < size; ++i) {
      if (value >> 55U != 0) return false;
      const auto octet = static_cast<unsigned char>(block[at + i]);
      value = value << 8U | (i == 0 ? octet & 0x7FU : octet);
    }
    return true;
  }
  std::string_view text = text_at(block, at, size);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  for (const char digit : text) {
    if (digit < '0' || digit > '7' || value >> 60U != 0) return false;
    value = value << 3U | static_cast<std::uint64_t>(digit - '0');
  }
  return true;
}

bool has_right_sum(const Block& block) {
  std::uint64_t said = 0;
  if (!number_at(block, kSumAt, 8, said)) return false;
  std::uint64_t sum = 8 * ' ';
  std::uint64_t signed_sum = sum;  // of old programs
  for (std::size_t i = 0; i < block.size(); ++i) {
    if (i >= kSumAt && i < kTypeAt) continue;
    sum += static_cast<unsigned char>(block[i]);
    signed_sum += static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<signed char>(block[i])));
  }
  return said == sum || said == signed_sum;
}

bool parse_decimal(std::string_view text, std::uint64_t& value) {
  value = 0;
  if (text.empty() || text.size() > 19) return false;
  for (const char digit : text) {
    if (digit < '0' || digit > '9') return false;
    value = value * 10 + static_cast<std::uint64_t>(digit - '0');
  }
  return true;
}

bool take_record(std::string_view& records, std::string_view& key, std::string_view& value) {
  const std::size_t space = records.find(' ');
  std::uint64_t length = 0;
  if (space == std::string_view::npos || !parse_decimal(records.substr(0, space), length)) return false;
  if (length > records.size() || length < space + 3 || records[static_cast<std::size_t>(length) - 1] != '\n')
    return false;
  const std::string_view record = records.substr(space + 1, static_cast<std::size_t>(length) - space - 2);
  const std::size_t equals = record.find('=');
  if (equals == std::string_view::npos) return false;
  key = record.substr(0, equals);
  value = record.substr(equals + 1);
  records.remove_prefix(static_cast<std::size_t>(length));
  return true;
}

}  // namespace lmsb::os::tar
