#include "server/request_pace.h"

#include <gtest/gtest.h>

namespace lmsb::server {
namespace {

// How many of that size are taken up within ten seconds by who never waits longer than he must.
std::uint64_t taken_in_ten_seconds(std::size_t octets) {
  RequestPace pace;
  std::uint64_t taken = 0;
  for (std::uint64_t now = 1000; now < 11'000;) {
    const std::uint64_t wait = pace.wait_ms(octets, now);
    taken += wait == 0 ? 1 : 0;
    now += wait;
  }
  return taken;
}

TEST(RequestPace, TakesUpSoManyASecond) {
  EXPECT_GE(taken_in_ten_seconds(1000), 1000U);
  EXPECT_LE(taken_in_ten_seconds(1000), 1210U);
}

TEST(RequestPace, TakesUpFewerOfThoseThatAreLarge) {
  EXPECT_LE(taken_in_ten_seconds(std::size_t{4} << 20U), 12U);
  EXPECT_GE(taken_in_ten_seconds(std::size_t{4} << 20U), 7U);
}

}  // namespace
}  // namespace lmsb::server
