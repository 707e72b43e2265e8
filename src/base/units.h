#pragma once
// Bytes: a size that cannot be mistaken for a count. Durations are std::chrono types.
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace lmsb {

class Bytes {
 public:
  constexpr Bytes() = default;
  constexpr explicit Bytes(std::uint64_t count) : count_(count) {}
  static constexpr Bytes KiB(std::uint64_t n) { return Bytes(n << 10U); }
  static constexpr Bytes MiB(std::uint64_t n) { return Bytes(n << 20U); }
  static constexpr Bytes GiB(std::uint64_t n) { return Bytes(n << 30U); }
  constexpr std::uint64_t count() const { return count_; }
  constexpr auto operator<=>(const Bytes&) const = default;

 private:
  std::uint64_t count_ = 0;
};

// Parses Docker's spelling: "512m", "1.5g", "1024" (bytes), "64k", "1GiB"; powers of 1024, letters in any case.
// Nothing when it is not of that form, negative, or does not fit.
std::optional<Bytes> parse_bytes(std::string_view text);

// The shortest exact spelling that parse_bytes() reads back: "1g", "64m", "1500".
std::string format_bytes(Bytes bytes);

}  // namespace lmsb
