#pragma once
// Usual hints: what can be done about an error that says nothing of its own about that, by its code. Pure.
#include <string_view>

namespace lmsb::server {

// "" where nobody can do anything.
std::string_view usual_hint(std::string_view slug);

}  // namespace lmsb::server
