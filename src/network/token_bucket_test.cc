#include "network/token_bucket.h"

#include <gtest/gtest.h>

namespace lmsb::network {
namespace {

TEST(TokenBucket, HoldsTwoSecondsWorthAndFillsByTheSecond) {
  TokenBucket bucket(10);
  int taken = 0;
  while (bucket.take(1000)) ++taken;
  EXPECT_EQ(taken, 20);
  EXPECT_FALSE(bucket.take(1050));
  EXPECT_TRUE(bucket.take(1100));
  EXPECT_FALSE(bucket.take(1100));
  taken = 0;
  while (bucket.take(1'000'000)) ++taken;
  EXPECT_EQ(taken, 20);
}

TEST(TokenBucket, HoldsAsManyAtOnceAsIsSaid) {
  TokenBucket bucket(10, 50);
  int taken = 0;
  while (bucket.take(1000)) ++taken;
  EXPECT_EQ(taken, 50);
  EXPECT_TRUE(bucket.take(1100));
  EXPECT_FALSE(bucket.take(1100));
}

TEST(TokenBucket, SaysHowLongADebtLasts) {
  TokenBucket bucket(1000);
  EXPECT_EQ(bucket.wait_ms(1000), 0U);
  bucket.spend(3000, 1000);
  EXPECT_GE(bucket.wait_ms(1000), 1000U);
  EXPECT_EQ(bucket.wait_ms(2100), 0U);
}

TEST(TokenBucket, WithoutARateGivesAll) {
  TokenBucket bucket(0);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(bucket.take(1));
  bucket.spend(1U << 30U, 1);
  EXPECT_EQ(bucket.wait_ms(1), 0U);
}

}  // namespace
}  // namespace lmsb::network
