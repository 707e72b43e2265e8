#pragma once
// PreviewTokens: tokens that open one port of one sandbox until a moment, and nothing else, and say which key made
// them. Signed, not kept: they are worth as much as the key, which lives as long as the daemon. Pure but for the making
// of the key.
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "server/preview_host.h"

namespace lmsb::server {

class PreviewTokens {
 public:
  using Clock = std::chrono::system_clock;

  static constexpr std::chrono::seconds kMinLife{1};
  static constexpr std::chrono::seconds kMaxLife{7 * 24 * 3600};

  // With a random key.
  PreviewTokens();

  // "1767225600.9f86d0...": when it ends, in seconds since 1970, and 64 hexadecimal digits; between the two `by`, the
  // principal of the key that made it, unless that is "".
  std::string make(const PreviewHost& place, std::string_view by, Clock::time_point end) const;
  struct Opened {
    std::chrono::seconds left{0};  // that it opens the place from now on; nothing or less: it does not
    std::string by;
  };
  Opened read(std::string_view token, const PreviewHost& place, Clock::time_point now = Clock::now()) const;

 private:
  std::string sign(std::string_view claim, const PreviewHost& place) const;

  std::array<std::uint8_t, 32> key_{};
};

}  // namespace lmsb::server
