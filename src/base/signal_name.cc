#include "base/signal_name.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <csignal>
#include <cstring>
#include <string>
#include <utility>

namespace lmsb {
namespace {

// Names that the C library does not give out.
constexpr std::array<std::pair<std::string_view, int>, 4> kOtherNames = {
    {{"IOT", SIGABRT}, {"CLD", SIGCHLD}, {"IO", SIGIO}, {"UNUSED", SIGSYS}}};

std::optional<int> number_in(std::string_view text) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "RTMIN", "RTMIN+3", "RTMAX-2": numbers that the C library leaves to programs.
std::optional<int> real_time_signal(std::string_view name) {
  const bool is_first = name.starts_with("RTMIN");
  if (!is_first && !name.starts_with("RTMAX")) return std::nullopt;
  const int base = is_first ? SIGRTMIN : SIGRTMAX;
  name.remove_prefix(5);
  if (name.empty()) return base;
  if (name.front() != (is_first ? '+' : '-')) return std::nullopt;
  const auto away = number_in(name.substr(1));
  if (!away || *away < 0 || *away > SIGRTMAX - SIGRTMIN) return std::nullopt;
  return is_first ? base + *away : base - *away;
}

}  // namespace

std::optional<int> parse_signal(std::string_view text) {
  if (const auto number = number_in(text)) return *number >= 1 && *number < NSIG ? number : std::nullopt;
  std::string upper(text);
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  std::string_view name = upper;
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (int signal = 1; signal < NSIG; ++signal) {
    const char* const known = ::sigabbrev_np(signal);
    if (known != nullptr && name == known) return signal;
  }
  for (const auto& [known, signal] : kOtherNames)
    if (name == known) return signal;
  return real_time_signal(name);
}

}  // namespace lmsb
