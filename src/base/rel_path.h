#pragma once
// RelPath: a path that stays below the directory it is opened from: no leading slash, no "..", no NUL, no empty or
// "." component, at most 4095 bytes. Parsed once at the edge, so that no string from outside is ever a path.
#include <optional>
#include <string>
#include <string_view>

namespace lmsb {

class RelPath {
 public:
  // Accepts "a/b"; nothing for everything that the class comment rules out.
  static std::optional<RelPath> parse(std::string_view text);
  const std::string& str() const { return text_; }
  bool operator==(const RelPath&) const = default;

 private:
  explicit RelPath(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace lmsb
