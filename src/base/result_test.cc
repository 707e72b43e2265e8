#include "base/result.h"

#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace lmsb {
namespace {

Error bad() { return Error(ErrorCode::internal, "bad"); }

Result<int> half(int n) {
  if (n % 2 != 0) return Error(ErrorCode::invalid_argument, "odd");
  return n / 2;
}

Result<std::string> quarter(int n) {
  LMSB_TRY(const int h, half(n));
  LMSB_TRY(const int q, half(h));
  return std::to_string(q);
}

Status check(int n) {
  LMSB_CHECK(half(n));
  return Status();
}

TEST(Result, HoldsAValueOrAnError) {
  EXPECT_EQ(half(4).value(), 2);
  EXPECT_TRUE(half(4).ok());
  EXPECT_FALSE(half(3));
  EXPECT_EQ(half(3).error().message(), "odd");
}

TEST(Result, IsPassedOnByTry) {
  EXPECT_EQ(*quarter(8), "2");
  EXPECT_EQ(quarter(6).error().message(), "odd");
  EXPECT_TRUE(check(2).ok());
  EXPECT_EQ(check(1).error().code(), ErrorCode::invalid_argument);
}

TEST(Result, CarriesWhatCanOnlyBeMoved) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  const std::unique_ptr<int> out = *std::move(result);
  EXPECT_EQ(*out, 5);
}

TEST(ResultDeathTest, AbortsWhenTheWrongSideIsAsked) {
  EXPECT_DEATH((void)Result<int>(bad()).value(), "result.h");
  EXPECT_DEATH((void)Result<int>(1).error(), "result.h");
  EXPECT_DEATH((void)Status().error(), "result.h");
}

}  // namespace
}  // namespace lmsb
