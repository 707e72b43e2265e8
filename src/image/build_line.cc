#include "image/build_line.h"

namespace lmsb::image {
namespace {

constexpr std::chrono::milliseconds kTurn{200};
constexpr std::string_view kClear = "\r\x1b[K";

}  // namespace

void BuildLine::step(std::string_view what) {
  clear();
  write_(std::string(what) + "\n");
  begun_ = Clock::now();
}

void BuildLine::tick(Bytes come) {
  const auto now = Clock::now();
  if (!is_live_ || now - drawn_ < kTurn) return;
  drawn_ = now;
  write_(std::string(kClear) + build_line(std::chrono::duration_cast<std::chrono::seconds>(now - begun_), come));
}

void BuildLine::clear() {
  if (drawn_ != Clock::time_point()) write_(kClear);
  drawn_ = {};
}

std::string build_line(std::chrono::seconds since, Bytes come) {
  const std::string size = come.count() > 0 ? "  " + std::to_string(come.count() >> 20U) + " MiB" : "";
  return "  " + std::to_string(since.count()) + " s" + size;
}

}  // namespace lmsb::image
