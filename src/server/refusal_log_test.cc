#include "server/refusal_log.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "server/test_support.h"

namespace lmsb::server {
namespace {

std::ptrdiff_t lines_of(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

TEST(RefusalLog, WritesNoMoreThanItsBoundAndThenSaysHowManyItLeftOut) {
  Logger log(LogLevel::warning, LogFormat::text);
  RefusalLog refusals(log);
  const Refusal refusal{403, Error(ErrorCode::permission_denied, "no")};
  const RefusalLog::Time now = std::chrono::steady_clock::now();
  testing::internal::CaptureStderr();
  for (int i = 0; i < 1000; ++i) refusals.add(local_request("GET", "/"), refusal, now);
  EXPECT_EQ(lines_of(testing::internal::GetCapturedStderr()), 60);
  testing::internal::CaptureStderr();
  refusals.add(local_request("GET", "/"), refusal, now + std::chrono::minutes(2));
  const std::string later = testing::internal::GetCapturedStderr();
  EXPECT_EQ(lines_of(later), 2);
  EXPECT_NE(later.find("count=940"), std::string::npos) << later;
}

}  // namespace
}  // namespace lmsb::server
