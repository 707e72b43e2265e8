#pragma once
// Signals as people name them. Pure.
#include <optional>
#include <string_view>

namespace lmsb {

// Of "TERM", "SIGTERM", "term", "15", "RTMIN+1", "RTMAX-1" and the other names that kill(1) takes: the number. Nothing:
// there is no such signal.
std::optional<int> parse_signal(std::string_view text);

}  // namespace lmsb
