#include "server/python_json_error.h"

#include <algorithm>

namespace lmsb::server {
namespace {

constexpr int kMaxDepth = 200;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// Follows CPython's Modules/_json.c: the same order of checks gives the same message at the same place. Each step
// returns whether it went well; the first that does not records the error.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool scan_document() {
    skip_blanks();
    if (!scan_value(0)) return false;
    skip_blanks();
    return at_ == text_.size() || fail("Extra data", at_);
  }

  PythonJsonError error() const {
    auto is_first_octet = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; };
    auto end = text_.begin() + static_cast<std::ptrdiff_t>(std::min(error_at_, text_.size()));
    return {static_cast<std::size_t>(std::count_if(text_.begin(), end, is_first_octet)), message_};
  }
  bool too_deep() const { return too_deep_; }

 private:
  bool fail(std::string_view message, std::size_t at) {
    message_ = message;
    error_at_ = at;
    return false;
  }

  bool sees(char c) const { return at_ < text_.size() && text_[at_] == c; }

  void skip_blanks() { at_ = std::min(text_.find_first_not_of(" \t\n\r", at_), text_.size()); }

  bool scan_value(int depth) {
    if (depth > kMaxDepth) return too_deep_ = true, fail("", at_);
    if (sees('"')) return scan_string();
    if (sees('{')) return scan_object(depth);
    if (sees('[')) return scan_array(depth);
    for (std::string_view word : {"null", "true", "false", "NaN", "Infinity", "-Infinity"}) {
      if (text_.substr(at_).starts_with(word)) return at_ += word.size(), true;
    }
    return scan_number();
  }

  std::size_t skip_digits(std::size_t from) const {
    return std::min(text_.find_first_not_of("0123456789", from), text_.size());
  }

  bool scan_number() {
    std::size_t begin = at_ + (sees('-') ? 1 : 0);
    if (begin >= text_.size() || !is_digit(text_[begin])) return fail("Expecting value", at_);
    at_ = text_[begin] == '0' ? begin + 1 : skip_digits(begin);
    if (sees('.') && skip_digits(at_ + 1) > at_ + 1) at_ = skip_digits(at_ + 1);
    if (!sees('e') && !sees('E')) return true;
    std::size_t exponent = at_ + 1;
    if (exponent < text_.size() && (text_[exponent] == '-' || text_[exponent] == '+')) ++exponent;
    if (skip_digits(exponent) > exponent) at_ = skip_digits(exponent);
    return true;
  }

  bool scan_string() {
    const std::size_t begin = at_++;
    while (at_ < text_.size()) {
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') return ++at_, true;
      if (c < 0x20) return fail("Invalid control character at", at_);
      if (c != '\\') {
        ++at_;
      } else if (!scan_escape(begin)) {
        return false;
      }
    }
    return fail("Unterminated string starting at", begin);
  }

  bool scan_escape(std::size_t begin) {
    const std::size_t backslash = at_++;
    if (at_ >= text_.size()) return fail("Unterminated string starting at", begin);
    const char c = text_[at_++];
    if (c != 'u') {
      return std::string_view("\"\\/bfnrt").find(c) != std::string_view::npos || fail("Invalid \\escape", backslash);
    }
    const std::string_view digits = text_.substr(at_, 4);
    const bool followed = at_ + 4 < text_.size();
    if (!followed || !std::all_of(digits.begin(), digits.end(), is_hex)) return fail("Invalid \\uXXXX escape", at_ - 1);
    at_ += 4;
    return true;
  }

  bool scan_object(int depth) {
    ++at_;
    skip_blanks();
    if (sees('}')) return ++at_, true;
    while (true) {
      if (!sees('"')) return fail("Expecting property name enclosed in double quotes", at_);
      if (!scan_string()) return false;
      skip_blanks();
      if (!sees(':')) return fail("Expecting ':' delimiter", at_);
      ++at_;
      skip_blanks();
      if (!scan_value(depth + 1)) return false;
      skip_blanks();
      if (sees('}')) return ++at_, true;
      if (!scan_comma()) return false;
    }
  }

  bool scan_array(int depth) {
    ++at_;
    skip_blanks();
    if (sees(']')) return ++at_, true;
    while (true) {
      if (!scan_value(depth + 1)) return false;
      skip_blanks();
      if (sees(']')) return ++at_, true;
      if (!scan_comma()) return false;
    }
  }

  bool scan_comma() {
    if (!sees(',')) return fail("Expecting ',' delimiter", at_);
    ++at_;
    skip_blanks();
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string_view message_;
  std::size_t error_at_ = 0;
  bool too_deep_ = false;
};

}  // namespace

std::optional<PythonJsonError> python_json_error(std::string_view text) {
  Scanner scanner(text);
  if (scanner.scan_document() || scanner.too_deep()) return std::nullopt;
  return scanner.error();
}

}  // namespace lmsb::server
