#pragma once
// Usual hints: what can be done about an error that says nothing of its own about that, by its code. Pure.
#include <span>
#include <string_view>

namespace lmsb::server {

struct UsualHint {
  std::string_view code;
  std::string_view hint;
};
// All of them, by code.
std::span<const UsualHint> usual_hints();
// "" where nobody can do anything.
std::string_view usual_hint(std::string_view slug);

}  // namespace lmsb::server
