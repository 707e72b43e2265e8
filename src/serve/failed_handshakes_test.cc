#include "serve/failed_handshakes.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmsb::serve {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST(FailedHandshakes, AreAllCountedAndOneAMinuteIsLogged) {
  Metrics metrics;
  Logger log(LogLevel::info, LogFormat::text);
  FailedHandshakes failed(metrics, log);
  const Error why(ErrorCode::unavailable, "TLS handshake: tlsv1 alert unknown ca");
  const auto start = FailedHandshakes::Clock::now();
  ::testing::internal::CaptureStderr();
  for (int i = 0; i < 100; ++i) failed.note(why, start + i * 1s);
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr("tls.handshake_failed error=\"TLS handshake: tlsv1 alert unknown ca\" count=1\n"));
  EXPECT_THAT(said, HasSubstr("count=60\n"));
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 2);
  EXPECT_THAT(metrics.text(), HasSubstr("lmsb_tls_handshake_failures_total 100\n"));
}

}  // namespace
}  // namespace lmsb::serve
