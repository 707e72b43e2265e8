#include "base/ids.h"

#include <algorithm>
#include <array>
#include <string>
#include <sys/random.h>

#include "base/assert.h"

namespace lmsb {
namespace {

constexpr std::size_t kIdLength = 20;
constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789";

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z'); }

// Characters by rejection, so that each is equally likely.
std::string random_text(std::size_t length) {
  std::string text;
  std::array<unsigned char, 64> pool{};
  while (text.size() < length) {
    LMSB_ASSERT(::getrandom(pool.data(), pool.size(), 0) == static_cast<ssize_t>(pool.size()));
    for (const unsigned char byte : pool) {
      if (text.size() == length) break;
      const std::string_view set = text.empty() ? kLetters : kAlphabet;
      if (byte < 256 / set.size() * set.size()) text += set[byte % set.size()];
    }
  }
  return text;
}

}  // namespace

SandboxId SandboxId::create() { return SandboxId(random_text(kIdLength)); }

std::optional<SandboxId> SandboxId::parse(std::string_view text) {
  if (text.size() != kIdLength || !is_lower(text[0])) return std::nullopt;
  if (!std::all_of(text.begin(), text.end(), [](char c) { return is_lower(c) || is_digit(c); })) return std::nullopt;
  return SandboxId(std::string(text));
}

std::string create_prefixed_id(std::string_view prefix) { return std::string(prefix) + random_text(kIdLength); }

bool is_sandbox_name(std::string_view text) {
  if (text.empty() || text.size() > 63 || !is_alnum(text[0])) return false;
  const auto allowed = [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; };
  return std::all_of(text.begin(), text.end(), allowed) && !SandboxId::parse(text);
}

}  // namespace lmsb
