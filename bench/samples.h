#pragma once
// Samples: durations of one measurement and their percentiles. Clocks are monotonic, values in milliseconds.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <sys/resource.h>
#include <sys/time.h>
#include <vector>

#include <fmt/format.h>

namespace lmsb::bench {

inline double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// CPU time of this process and of the children it has waited for.
inline double own_cpu_ms() {
  double total = 0;
  for (const auto who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
    rusage usage{};
    ::getrusage(who, &usage);
    for (const timeval& t : {usage.ru_utime, usage.ru_stime})
      total += static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_usec) / 1e3;
  }
  return total;
}

class Samples {
 public:
  void add(double ms) { values_.push_back(ms); }
  std::size_t count() const { return values_.size(); }

  // Nearest rank; 0 when there are none.
  double percentile(double p) const {
    if (values_.empty()) return 0;
    std::vector<double> sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    const auto rank = static_cast<std::size_t>(std::ceil(p / 100 * static_cast<double>(sorted.size())));
    return sorted[std::min(sorted.size(), std::max<std::size_t>(rank, 1)) - 1];
  }

  // "p50":..,"p99":..,"n":.. without braces.
  std::string json() const {
    return fmt::format(R"("p50":{:.4f},"p99":{:.4f},"n":{})", percentile(50), percentile(99), count());
  }

 private:
  std::vector<double> values_;
};

}  // namespace lmsb::bench
