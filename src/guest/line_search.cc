#include "guest/line_search.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace lmsb::guest {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_letters(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

}  // namespace

std::size_t find_text(std::string_view text, std::string_view needle, LetterCase letter_case) {
  if (letter_case == LetterCase::exact) {
    const void* const found = ::memmem(text.data(), text.size(), needle.data(), needle.size());
    return found == nullptr ? std::string_view::npos
                            : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
  }
  for (std::size_t at = 0; at + needle.size() <= text.size(); ++at)
    if (lower(text[at]) == lower(needle[0]) && same_letters(needle, text.substr(at, needle.size()))) return at;
  return std::string_view::npos;
}

bool LineMatcher::prepare(std::string_view pattern, Syntax syntax, LetterCase letter_case, Regex& regex) {
  pattern_ = pattern;
  case_ = letter_case;
  if (pattern.empty()) return false;
  if (syntax == Syntax::fixed) return true;
  regex_ = &regex;
  return regex.compile(pattern, letter_case);
}

bool LineMatcher::is_in(std::string_view line) const {
  if (regex_ != nullptr) return regex_->is_in(line);
  return find_text(line, pattern_, case_) != std::string_view::npos;
}

bool LineSplitter::take(std::string_view piece) {
  while (!piece.empty()) {
    const std::size_t end = piece.find('\n');
    const std::string_view part = piece.substr(0, end);
    if (end != std::string_view::npos && !has_begun_) {
      if (!tell(part)) return false;
    } else {
      const std::size_t size = std::min(part.size(), kMaxLine - kept_);
      std::memcpy(room_ + kept_, part.data(), size);
      kept_ += size;
      has_begun_ = true;
      if (end != std::string_view::npos && !this->end()) return false;
    }
    piece.remove_prefix(std::min(part.size() + 1, piece.size()));
  }
  return true;
}

bool LineSplitter::end() {
  if (!has_begun_) return true;
  has_begun_ = false;
  return tell({room_, std::exchange(kept_, 0)});
}

bool Replacer::take(std::string_view piece) {
  std::memcpy(room_ + kept_, piece.data(), piece.size());
  std::string_view text(room_, kept_ + piece.size());
  for (;;) {
    const std::size_t at = find_text(text, old_, LetterCase::exact);
    if (at == std::string_view::npos) break;
    if (!pass_on(text.substr(0, at)) || !pass_on(new_)) return false;
    text.remove_prefix(at + old_.size());
    ++replacements_;
  }
  const std::size_t keep = std::min(text.size(), old_.size() - 1);
  if (!pass_on(text.substr(0, text.size() - keep))) return false;
  std::memmove(room_, text.data() + text.size() - keep, keep);
  kept_ = keep;
  return true;
}

bool Replacer::end() { return pass_on({room_, std::exchange(kept_, 0)}); }

}  // namespace lmsb::guest
