#include "server/authority.h"

#include <gtest/gtest.h>

namespace lmsb::server {
namespace {

TEST(Authority, IsAHostAndPerhapsAPort) {
  const auto named = Authority::parse("LocalHost:8000");
  ASSERT_TRUE(named);
  EXPECT_EQ(named->host, "localhost");
  EXPECT_EQ(named->port, "8000");
  EXPECT_TRUE(named->is_loopback());
  const auto v6 = Authority::parse("[::1]");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "[::1]");
  EXPECT_EQ(v6->port, "");
  EXPECT_TRUE(v6->is_ip_literal() && v6->is_loopback());
}

TEST(Authority, OfAnotherMachineIsNotLoopback) {
  for (const char* other :
       {"127.0.0.1.evil.org", "localhost.evil.org", "192.0.2.1", "[2001:db8::1]", "[::ffff:127.0.0.1]"}) {
    const auto authority = Authority::parse(other);
    ASSERT_TRUE(authority) << other;
    EXPECT_FALSE(authority->is_loopback()) << other;
  }
}

TEST(Authority, IsNothingElse) {
  for (const char* bad :
       {"", ":80", "localhost.", ".x", "a..b", "a b", "a:b", "a:123456", "[::1", "[::1%eth0]", "[]", "[x]", "u@h"})
    EXPECT_FALSE(Authority::parse(bad)) << bad;
}

TEST(Authority, HidesNothingBehindANul) {
  using namespace std::string_view_literals;
  for (const std::string_view bad : {"[::\0\0\0001]:8000"sv, "[::1\0]"sv, "localhost\0.evil.org"sv, "127.0.0.1\0"sv})
    EXPECT_FALSE(Authority::parse(bad));
}

}  // namespace
}  // namespace lmsb::server
