#pragma once
// completion_script: what a shell must know to ask this program what may be typed (completion.h).
#include <string>
#include <string_view>

namespace lmsb::cli {

// As in a usage line.
inline constexpr const char* kShells = "bash|zsh|fish";

// For one of them.
std::string_view completion_script(std::string_view shell);

}  // namespace lmsb::cli
