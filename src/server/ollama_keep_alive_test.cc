#include "server/ollama_keep_alive.h"

#include <string>

#include <gtest/gtest.h>

namespace lmsb::server {
namespace {

using control::kKeptWhileThereIsRoom;
using std::chrono_literals::operator""ms;

std::optional<control::KeepAlive> read(const std::string& json) {
  json::ParseFault fault;
  const auto document = json::Document::parse(json, fault);
  return document ? ollama_keep_alive(document->root()) : std::nullopt;
}

TEST(OllamaKeepAlive, IsSecondsOrADurationAsGoWritesThem) {
  EXPECT_EQ(read("300"), 300'000ms);
  EXPECT_EQ(read("0.5"), 500ms);
  EXPECT_EQ(read(R"("5m")"), 300'000ms);
  EXPECT_EQ(read(R"("1h30m1.5s20ms")"), 5'401'520ms);
  EXPECT_EQ(read(R"("1500\u00b5s")"), 1ms);
}

TEST(OllamaKeepAlive, OfNothingIsAtOnce) {
  for (const char* none : {"0", "0.0", R"("0")", R"("0s")", R"("-0")", R"("+0m")"}) EXPECT_EQ(read(none), 0ms) << none;
}

TEST(OllamaKeepAlive, ThatIsNegativeOrHasNoEndIsForAsLongAsThereIsRoom) {
  for (const char* ever : {"-1", R"("-1s")", R"("-24h")", "1e300", R"("99999999999h")"})
    EXPECT_EQ(read(ever), kKeptWhileThereIsRoom) << ever;
}

TEST(OllamaKeepAlive, IsNothingElse) {
  for (const char* other : {R"("")", R"("5")", R"("m")", R"("5 m")", R"("5mm")", R"("--5m")", R"("1e3s")", R"("inf")",
                            R"("5x")", "true", "[]", "{}"})
    EXPECT_EQ(read(other), std::nullopt) << other;
}

}  // namespace
}  // namespace lmsb::server
