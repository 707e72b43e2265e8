#include "base/metrics.h"

#include <string>

#include <gtest/gtest.h>

namespace lmsb {
namespace {

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(Metrics, AreWrittenAsPrometheusReadsThem) {
  Metrics metrics;
  metrics.counter("lmsb_runs_total", "Commands run.", {{"outcome", "exited"}}).increment(2);
  metrics.gauge("lmsb_sandboxes", "Sandboxes alive.").set(5);
  metrics.histogram("lmsb_run_seconds", "Time of a run.", {0.1, 1}).observe(0.5);
  const std::string text = metrics.text();
  EXPECT_TRUE(has(text, "# HELP lmsb_runs_total Commands run.\n# TYPE lmsb_runs_total counter\n")) << text;
  EXPECT_TRUE(has(text, "lmsb_runs_total{outcome=\"exited\"} 2")) << text;
  EXPECT_TRUE(has(text, "lmsb_sandboxes 5")) << text;
  EXPECT_TRUE(has(text, "lmsb_run_seconds_bucket{le=\"0.1\"} 0")) << text;
  EXPECT_TRUE(has(text, "lmsb_run_seconds_bucket{le=\"1\"} 1")) << text;
  EXPECT_TRUE(has(text, "lmsb_run_seconds_bucket{le=\"+Inf\"} 1")) << text;
  EXPECT_TRUE(has(text, "lmsb_run_seconds_sum 0.5")) << text;
}

TEST(Metrics, OfOneNameAndLabelsAreOne) {
  Metrics metrics;
  Counter& first = metrics.counter("lmsb_x_total", "X.", {{"a", "1"}});
  EXPECT_EQ(&first, &metrics.counter("lmsb_x_total", "X.", {{"a", "1"}}));
  EXPECT_NE(&first, &metrics.counter("lmsb_x_total", "X.", {{"a", "2"}}));
}

TEST(Metrics, QuoteTheirLabels) {
  Metrics metrics;
  metrics.counter("lmsb_x_total", "X.", {{"a", "q\"\n\\"}}).increment();
  EXPECT_TRUE(has(metrics.text(), R"(lmsb_x_total{a="q\"\n\\"} 1)")) << metrics.text();
}

}  // namespace
}  // namespace lmsb
