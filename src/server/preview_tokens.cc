#include "server/preview_tokens.h"

#include <charconv>
#include <sys/random.h>

#include "base/assert.h"
#include "server/digest.h"

namespace lmsb::server {

PreviewTokens::PreviewTokens() {
  LMSB_ASSERT(::getrandom(key_.data(), key_.size(), 0) == static_cast<ssize_t>(key_.size()));
}

std::string PreviewTokens::sign(std::string_view end, const PreviewHost& place) const {
  return to_hex(hmac_sha256({reinterpret_cast<const char*>(key_.data()), key_.size()},
                            "preview\n" + place.name() + "\n" + std::string(end)));
}

std::string PreviewTokens::make(const PreviewHost& place, Clock::time_point end) const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(end.time_since_epoch()).count();
  const std::string text = std::to_string(seconds);
  return text + "." + sign(text, place);
}

std::chrono::seconds PreviewTokens::life_left(std::string_view token, const PreviewHost& place,
                                              Clock::time_point now) const {
  const std::string_view end = token.substr(0, token.find('.'));
  const auto given = parse_sha256(token.substr(std::min(end.size() + 1, token.size())));
  const auto right = parse_sha256(sign(end, place));
  if (!given || !right || !equal_in_constant_time(*given, *right)) return std::chrono::seconds(0);
  std::int64_t seconds = 0;  // ours: it is signed
  (void)std::from_chars(end.data(), end.data() + end.size(), seconds);
  return std::chrono::ceil<std::chrono::seconds>(Clock::time_point(std::chrono::seconds(seconds)) - now);
}

}  // namespace lmsb::server
