#include "cli/progress.h"

#include <algorithm>
#include <unistd.h>

#include "cli/values.h"

namespace lmsb::cli {
namespace {

constexpr std::size_t kBar = 20;
constexpr std::chrono::milliseconds kTurn{100};
constexpr std::string_view kClear = "\r\x1b[K";

}  // namespace

Progress::Progress(Console& console, std::string what, std::optional<std::uint64_t> whole, bool is_shown)
    : console_(console), what_(std::move(what)), whole_(whole), is_shown_(is_shown) {}

Progress::~Progress() {
  if (is_shown_ && drawn_ != std::chrono::steady_clock::time_point()) console_.err(kClear);
}

void Progress::add(std::uint64_t octets) {
  done_ += octets;
  const auto now = std::chrono::steady_clock::now();
  if (!is_shown_ || now - drawn_ < kTurn) return;
  drawn_ = now;
  console_.err(std::string(kClear) + progress_line(what_, done_, whole_));
}

std::string progress_line(const std::string& what, std::uint64_t done, std::optional<std::uint64_t> whole) {
  const std::string size = human_size(static_cast<double>(done));
  if (!whole || *whole == 0) return what + "  " + size;
  const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(*whole));
  const auto full = static_cast<std::size_t>(part * kBar);
  const std::string bar = std::string(full, '=') + (full < kBar ? ">" + std::string(kBar - full - 1, ' ') : "");
  const std::string percent = std::to_string(static_cast<int>(part * 100));
  return what + "  [" + bar + "] " + std::string(3 - percent.size(), ' ') + percent + "%  " + size + " of " +
         human_size(static_cast<double>(*whole));
}

bool shows_progress() { return ::isatty(STDERR_FILENO) == 1; }

}  // namespace lmsb::cli
