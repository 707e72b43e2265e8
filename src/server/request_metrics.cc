#include "server/request_metrics.h"

namespace lmsb::server {

RequestMetrics::RequestMetrics(Metrics& metrics, const RouteTable& table)
    : metrics_(metrics),
      table_(table),
      routes_(table.rows().size() + 1),
      bugs_(metrics.counter("lmsb_bugs_total", "Errors that are faults of the program itself")) {}

RequestMetrics::PerRoute& RequestMetrics::per_route(const RouteRow* row) {
  if (row == nullptr) return routes_.back();
  return routes_[static_cast<std::size_t>(row - table_.rows().data())];
}

Metrics::Labels RequestMetrics::labels_of(const RouteRow* row) const {
  if (row == nullptr) return {{"method", "any"}, {"route", "none"}};
  return {{"method", row->method}, {"route", row->pattern}};
}

void RequestMetrics::count(const RouteRow* row, int status, std::chrono::steady_clock::duration time) {
  PerRoute& route = per_route(row);
  Counter*& counter = route.by_status[status];
  if (counter == nullptr) {
    Metrics::Labels labels = labels_of(row);
    labels["status"] = std::to_string(status);
    counter = &metrics_.counter("lmsb_http_requests_total", "HTTP requests answered", labels);
  }
  if (route.time == nullptr) {
    static const std::vector<double> kBounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                             0.5,   1,      2.5,   5,    10,    30,   120};
    route.time = &metrics_.histogram("lmsb_http_request_seconds", "Time from a whole request to its answer", kBounds,
                                     labels_of(row));
  }
  counter->increment();
  route.time->observe(std::chrono::duration<double>(time).count());
}

}  // namespace lmsb::server
