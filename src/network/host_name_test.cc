#include "network/host_name.h"

#include <gtest/gtest.h>

namespace lmsb::network {
namespace {

TEST(HostName, IsLowerCaseWithoutItsLastDot) {
  EXPECT_EQ(normal_host_name("Example.org"), "example.org");
  EXPECT_EQ(normal_host_name("example.org."), "example.org");
  EXPECT_EQ(normal_host_name("_sip.a-b.xn--bcher-kva.example"), "_sip.a-b.xn--bcher-kva.example");
}

TEST(HostName, IsNothingThatAProgramCouldReadOtherwise) {
  for (const char* text :
       {"", ".", "..", "a..b", ".a", "a.b..", "a b", "a\tb", "a/b", "a@b", "a:b", "a%b", "a*b", "*.a", "-a.b", "a-.b",
        "b\xc3\xbc"
        "cher.example",
        "[::1]", "::1"})
    EXPECT_EQ(normal_host_name(text), std::nullopt) << text;
  EXPECT_EQ(normal_host_name(std::string_view("a\0b", 3)), std::nullopt);
  EXPECT_EQ(normal_host_name(std::string(64, 'a')), std::nullopt);
  EXPECT_TRUE(normal_host_name(std::string(63, 'a')));
  std::string longest = std::string(63, 'a') + "." + std::string(63, 'a') + "." + std::string(63, 'a') + ".";
  EXPECT_TRUE(normal_host_name(longest + std::string(61, 'a')));
  EXPECT_EQ(normal_host_name(longest + std::string(62, 'a')), std::nullopt);
}

TEST(HostName, IsNoAddressInAnySpelling) {
  for (const char* text : {"127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "1.2.3.4.", "a.1", "x.0x7F"})
    EXPECT_EQ(normal_host_name(text), std::nullopt) << text;
  EXPECT_TRUE(normal_host_name("1.example"));
}

TEST(HostName, IsBelowAnotherOnlyAtADot) {
  EXPECT_TRUE(is_below("a.example.com", "example.com"));
  EXPECT_TRUE(is_below("a.b.example.com", "example.com"));
  EXPECT_FALSE(is_below("example.com", "example.com"));
  EXPECT_FALSE(is_below("evilexample.com", "example.com"));
  EXPECT_FALSE(is_below("example.com.evil.test", "example.com"));
}

TEST(HostName, IsLocalWithOneLabelOrBelowWhatNobodyHasRegistered) {
  for (const char* name : {"router", "localhost", "db.internal", "metadata.google.internal", "a.b.local", "nas.lan",
                           "home.arpa", "x.home.arpa", "1.0.10.in-addr.arpa", "www.corp"})
    EXPECT_TRUE(is_local_name(name)) << name;
  for (const char* name : {"example.org", "internal.example.com", "evillocal.org", "local.example", "arpa.example.com"})
    EXPECT_FALSE(is_local_name(name)) << name;
}

TEST(Ipv4, IsFourPartsOfDecimalDigits) {
  EXPECT_EQ(parse_ipv4("1.2.3.4"), 0x01020304U);
  EXPECT_EQ(parse_ipv4("255.255.255.255"), 0xffffffffU);
  for (const char* text : {"", "1.2.3", "1.2.3.4.5", "1.2.3.256", "01.2.3.4", "1.2.3.", "1..3.4", "1.2.3.4 ",
                           "+1.2.3.4", "0x1.2.3.4", "1.2.3.0004"})
    EXPECT_EQ(parse_ipv4(text), std::nullopt) << text;
  EXPECT_EQ(ipv4_text(0x01020304U), "1.2.3.4");
  EXPECT_EQ(ipv4_text(0), "0.0.0.0");
}

}  // namespace
}  // namespace lmsb::network
