#include "base/units.h"

#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

namespace lmsb {
namespace {

// The exponent of 1024 that a suffix means; nothing for an unknown one.
std::optional<int> suffix_power(std::string_view suffix) {
  if (suffix.empty()) return 0;
  const char letter = static_cast<char>(std::tolower(static_cast<unsigned char>(suffix[0])));
  const std::string_view rest = suffix.substr(1);
  const auto at = std::string_view("bkmgt").find(letter);
  if (at == std::string_view::npos) return std::nullopt;
  const bool known = rest.empty() || (at > 0 && (rest == "b" || rest == "B" || rest == "ib" || rest == "iB"));
  return known ? std::optional<int>(static_cast<int>(at)) : std::nullopt;
}

}  // namespace

std::optional<Bytes> parse_bytes(std::string_view text) {
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (error != std::errc() || !(number >= 0)) return std::nullopt;
  const auto power = suffix_power(text.substr(static_cast<std::size_t>(end - text.data())));
  if (!power) return std::nullopt;
  const double bytes = std::ldexp(number, 10 * *power);
  if (!(bytes < 9.0e18)) return std::nullopt;
  return Bytes(static_cast<std::uint64_t>(bytes));
}

std::string format_bytes(Bytes bytes) {
  static constexpr std::array<const char*, 5> kSuffix = {"", "k", "m", "g", "t"};
  std::uint64_t count = bytes.count();
  std::size_t power = 0;
  while (count != 0 && count % 1024 == 0 && power + 1 < kSuffix.size()) {
    count /= 1024;
    ++power;
  }
  return std::to_string(count) + kSuffix[power];
}

}  // namespace lmsb
