#include "server/ollama_keep_alive.h"

#include <array>
#include <charconv>
#include <string_view>
#include <utility>

namespace lmsb::server {
namespace {

constexpr double kMostSeconds = 1e9;

// Takes the longest unit that `text` begins with; in seconds.
std::optional<double> take_unit(std::string_view& text) {
  static constexpr std::array<std::pair<std::string_view, double>, 8> kUnits = {{{"ns", 1e-9},
                                                                                 {"us", 1e-6},
                                                                                 {"\u00b5s", 1e-6},
                                                                                 {"\u03bcs", 1e-6},
                                                                                 {"ms", 1e-3},
                                                                                 {"s", 1},
                                                                                 {"m", 60},
                                                                                 {"h", 3600}}};
  for (const auto& [name, seconds] : kUnits) {
    if (!text.starts_with(name)) continue;
    text.remove_prefix(name.size());
    return seconds;
  }
  return std::nullopt;
}

// "1h30m", "-1.5s", "0"; a number without a unit is none but 0.
std::optional<double> seconds_of(std::string_view text) {
  const bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  if (text == "0") return 0;
  double seconds = 0;
  while (!text.empty()) {
    double number = 0;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
    if (read.ec != std::errc() || number < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    const auto unit = take_unit(text);
    if (!unit) return std::nullopt;
    seconds += number * *unit;
  }
  return is_negative ? -seconds : seconds;
}

}  // namespace

std::optional<control::KeepAlive> ollama_keep_alive(json::Value value) {
  const auto text = value.string();
  const std::optional<double> seconds = text ? seconds_of(*text) : value.number();
  if (!seconds) return std::nullopt;
  if (*seconds < 0 || *seconds > kMostSeconds) return control::kKeptWhileThereIsRoom;
  return std::chrono::duration_cast<control::KeepAlive>(std::chrono::duration<double>(*seconds));
}

}  // namespace lmsb::server
