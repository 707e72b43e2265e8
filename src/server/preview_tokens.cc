#include "server/preview_tokens.h"

#include <charconv>
#include <sys/random.h>

#include "base/assert.h"
#include "base/digest.h"

namespace lmsb::server {

PreviewTokens::PreviewTokens() {
  LMSB_ASSERT(::getrandom(key_.data(), key_.size(), 0) == static_cast<ssize_t>(key_.size()));
}

std::string PreviewTokens::sign(std::string_view claim, const PreviewHost& place) const {
  return to_hex(hmac_sha256({reinterpret_cast<const char*>(key_.data()), key_.size()},
                            "preview\n" + place.name() + "\n" + std::string(claim)));
}

std::string PreviewTokens::make(const PreviewHost& place, std::string_view by, Clock::time_point end) const {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(end.time_since_epoch()).count();
  const std::string claim = std::to_string(seconds) + (by.empty() ? "" : "." + std::string(by));
  return claim + "." + sign(claim, place);
}

PreviewTokens::Opened PreviewTokens::read(std::string_view token, const PreviewHost& place,
                                          Clock::time_point now) const {
  const std::size_t last = token.rfind('.');
  if (last == std::string_view::npos) return {};
  const std::string_view claim = token.substr(0, last);
  const auto given = parse_sha256(token.substr(last + 1));
  const auto right = parse_sha256(sign(claim, place));
  if (!given || !right || !equal_in_constant_time(*given, *right)) return {};
  std::int64_t seconds = 0;  // ours: it is signed
  const auto read = std::from_chars(claim.data(), claim.data() + claim.size(), seconds);
  Opened opened;
  opened.left = std::chrono::ceil<std::chrono::seconds>(Clock::time_point(std::chrono::seconds(seconds)) - now);
  const auto digits = static_cast<std::size_t>(read.ptr - claim.data());
  if (digits < claim.size()) opened.by = claim.substr(digits + 1);
  return opened;
}

}  // namespace lmsb::server
