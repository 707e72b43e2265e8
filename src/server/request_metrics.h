#pragma once
// RequestMetrics: counts requests by route and status, and their time. Looks each metric up once. One thread.
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "server/routes.h"

namespace lmsb::server {

class RequestMetrics {
 public:
  // `metrics` and `table` outlive it.
  RequestMetrics(Metrics& metrics, const RouteTable& table);
  // `row` is nullptr for what no route answers: all of that is one line of the metrics.
  void count(const RouteRow* row, int status, std::chrono::steady_clock::duration time);
  // A 500: never on a healthy system.
  void count_bug() { bugs_.increment(); }

 private:
  struct PerRoute {
    std::map<int, Counter*> by_status;
    Histogram* time = nullptr;
  };
  PerRoute& per_route(const RouteRow* row);
  Metrics::Labels labels_of(const RouteRow* row) const;

  Metrics& metrics_;
  const RouteTable& table_;
  std::vector<PerRoute> routes_;  // as the table's rows, and one for no route at the end
  Counter& bugs_;
};

}  // namespace lmsb::server
