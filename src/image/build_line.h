#pragma once
// BuildLine: what a build does, for whoever looks on: a line for each step, and below the last one, where that can be
// drawn over and over, how long it has taken and what has come. One thread.
#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/units.h"

namespace lmsb::image {

class BuildLine {
 public:
  using Write = std::function<void(std::string_view text)>;
  // `is_live`: `write` leads to a terminal. Else there are the steps alone.
  BuildLine(Write write, bool is_live) : write_(std::move(write)), is_live_(is_live) {}
  // Takes the line away; the steps stay.
  ~BuildLine() { clear(); }
  BuildLine(const BuildLine&) = delete;
  BuildLine& operator=(const BuildLine&) = delete;

  void step(std::string_view what);
  // The last step goes on, and so much has come in all. Draws five times a second at most.
  void tick(Bytes come);

 private:
  using Clock = std::chrono::steady_clock;
  void clear();

  Write write_;
  bool is_live_;
  Clock::time_point begun_ = Clock::now();
  Clock::time_point drawn_{};  // never, or not since it was taken away
};

// "  12 s", "  75 s  120 MiB".
std::string build_line(std::chrono::seconds since, Bytes come);

}  // namespace lmsb::image
