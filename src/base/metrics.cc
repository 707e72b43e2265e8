#include "base/metrics.h"

#include <mutex>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace lmsb {
namespace {

struct CounterOf final : Counter {
  explicit CounterOf(prometheus::Counter& c) : counter(c) {}
  void increment(double by) override { counter.Increment(by); }
  prometheus::Counter& counter;  // owned by the registry
};

struct GaugeOf final : Gauge {
  explicit GaugeOf(prometheus::Gauge& g) : gauge(g) {}
  void set(double value) override { gauge.Set(value); }
  prometheus::Gauge& gauge;  // owned by the registry
};

struct HistogramOf final : Histogram {
  explicit HistogramOf(prometheus::Histogram& h) : histogram(h) {}
  void observe(double value) override { histogram.Observe(value); }
  prometheus::Histogram& histogram;  // owned by the registry
};

}  // namespace

struct Metrics::Registry {
  // The library hands out one object per name and labels; ours wrap it, so they are kept by the same key.
  using Key = std::pair<std::string, Labels>;
  prometheus::Registry registry;
  std::mutex mutex;
  std::map<Key, std::unique_ptr<CounterOf>> counters;
  std::map<Key, std::unique_ptr<GaugeOf>> gauges;
  std::map<Key, std::unique_ptr<HistogramOf>> histograms;
};

Metrics::Metrics() : registry_(std::make_unique<Registry>()) {}
Metrics::~Metrics() = default;

Counter& Metrics::counter(const std::string& name, const std::string& help, const Labels& labels) {
  const std::lock_guard lock(registry_->mutex);
  auto& slot = registry_->counters[{name, labels}];
  if (!slot) {
    auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(registry_->registry);
    slot = std::make_unique<CounterOf>(family.Add(labels));
  }
  return *slot;
}

Gauge& Metrics::gauge(const std::string& name, const std::string& help, const Labels& labels) {
  const std::lock_guard lock(registry_->mutex);
  auto& slot = registry_->gauges[{name, labels}];
  if (!slot) {
    auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(registry_->registry);
    slot = std::make_unique<GaugeOf>(family.Add(labels));
  }
  return *slot;
}

Histogram& Metrics::histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                              const Labels& labels) {
  const std::lock_guard lock(registry_->mutex);
  auto& slot = registry_->histograms[{name, labels}];
  if (!slot) {
    auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(registry_->registry);
    slot = std::make_unique<HistogramOf>(family.Add(labels, bounds));
  }
  return *slot;
}

std::string Metrics::text() const { return prometheus::TextSerializer().Serialize(registry_->registry.Collect()); }

}  // namespace lmsb
