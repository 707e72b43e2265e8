#include "guest/glob.h"

#include <algorithm>

namespace lmsb::guest {
namespace {

constexpr std::string_view kAnyDepth = "**";

// Whether `octet` is in the bracket expression at the front of `pattern`, whose size is returned; 0: it has no end, so
// the bracket stands for itself.
std::size_t match_bracket(std::string_view pattern, unsigned char octet, bool& is_in) {
  std::size_t at = 1;
  const bool inverted = at < pattern.size() && (pattern[at] == '!' || pattern[at] == '^');
  if (inverted) ++at;
  is_in = false;
  for (bool first = true; at < pattern.size(); first = false) {
    if (pattern[at] == ']' && !first) {
      is_in = is_in != inverted;
      return at + 1;
    }
    const auto low = static_cast<unsigned char>(pattern[at]);
    auto high = low;
    if (at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']') {
      high = static_cast<unsigned char>(pattern[at + 2]);
      at += 2;
    }
    is_in = is_in || (low <= octet && octet <= high);
    ++at;
  }
  return 0;
}

// Whether the front of `pattern` (not a star) takes `octet`; `size` is how much of the pattern that is.
bool match_one(std::string_view pattern, char octet, std::size_t& size) {
  size = 1;
  if (pattern.front() == '?') return true;
  if (pattern.front() == '[') {
    bool is_in = false;
    const std::size_t bracket = match_bracket(pattern, static_cast<unsigned char>(octet), is_in);
    if (bracket > 0) {
      size = bracket;
      return is_in;
    }
  }
  if (pattern.front() == '\\' && pattern.size() > 1) {
    size = 2;
    return pattern[1] == octet;
  }
  return pattern.front() == octet;
}

}  // namespace

// What a star took last is all that is ever reconsidered: later stars make earlier ones settled.
bool name_matches(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t star_at = 0;
  while (n < name.size()) {
    std::size_t size = 0;
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      star_at = n;
    } else if (p < pattern.size() && match_one(pattern.substr(p), name[n], size)) {
      p += size;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star;
      n = ++star_at;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

Glob::Glob(std::string_view pattern) {
  while (!pattern.empty()) {
    const std::string_view part = pattern.substr(0, pattern.find('/'));
    pattern.remove_prefix(std::min(part.size() + 1, pattern.size()));
    if (part.empty() || part == ".") continue;
    if (part == ".." || count_ == components_.size()) return;
    if (part == kAnyDepth && count_ > 0 && components_[count_ - 1] == kAnyDepth) continue;
    components_[count_++] = part;
  }
  is_valid_ = count_ > 0;
}

// `**` may stand for nothing.
Glob::State Glob::close(State state) const {
  for (std::size_t i = 0; i < count_; ++i)
    if ((state >> i & 1U) != 0 && components_[i] == kAnyDepth) state |= State{1} << (i + 1);
  return state;
}

Glob::State Glob::next(State state, std::string_view name) const {
  State after = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    if ((state >> i & 1U) == 0) continue;
    if (components_[i] == kAnyDepth) {
      after |= State{1} << i;
    } else if (name_matches(components_[i], name)) {
      after |= State{1} << (i + 1);
    }
  }
  return close(after);
}

}  // namespace lmsb::guest
