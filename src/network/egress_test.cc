#include "network/egress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "network/host_name.h"

namespace lmsb::network {
namespace {

using testing::HasSubstr;

const Groups kGroups = {{"@packages", {"packages.example.org:8443", "files.example.org"}}};

std::vector<Rule> rules(std::vector<std::string> allow) {
  auto made = rules_of({Mode::allowlist, std::move(allow)}, kGroups);
  EXPECT_TRUE(made.ok()) << made.error().message();
  return made.ok() ? *made : std::vector<Rule>();
}

std::uint32_t ip(std::string_view text) { return parse_ipv4(text).value(); }

TEST(Egress, AllowsANameAtTheTwoPortsOfTheWebOrAtTheOneThatIsNamed) {
  const auto allowed = rules({"Example.org", "db.example.com:5432"});
  EXPECT_TRUE(allows_name(allowed, "example.org", 80));
  EXPECT_TRUE(allows_name(allowed, "example.org", 443));
  EXPECT_FALSE(allows_name(allowed, "example.org", 22));
  EXPECT_TRUE(allows_name(allowed, "db.example.com", 5432));
  EXPECT_FALSE(allows_name(allowed, "db.example.com", 443));
  EXPECT_TRUE(allows_name(allowed, "db.example.com", 0)) << "some port";
}

TEST(Egress, AllowsNamesBelowAWildcardAndNotItself) {
  const auto allowed = rules({"*.x.org:443"});
  EXPECT_TRUE(allows_name(allowed, "a.x.org", 443));
  EXPECT_TRUE(allows_name(allowed, "a.b.x.org", 443));
  EXPECT_FALSE(allows_name(allowed, "a.x.org", 80));
  for (const char* name : {"x.org", "evilx.org", "a.x.org.evil.test", "", "org"})
    EXPECT_FALSE(allows_name(allowed, name, 443)) << name;
}

TEST(Egress, AllowsAddressesOfARange) {
  const auto allowed = rules({"203.0.113.0/24:5432", "198.51.100.7"});
  EXPECT_TRUE(allows_address(allowed, ip("203.0.113.255"), 5432));
  EXPECT_FALSE(allows_address(allowed, ip("203.0.114.0"), 5432));
  EXPECT_FALSE(allows_address(allowed, ip("203.0.113.1"), 443));
  EXPECT_TRUE(allows_address(allowed, ip("198.51.100.7"), 443));
  EXPECT_FALSE(allows_address(allowed, ip("198.51.100.8"), 443));
  EXPECT_FALSE(allows_name(allowed, "203.0.113.1", 5432)) << "no name is an address";
}

TEST(Egress, KnowsTheGroupsOfTheConfiguration) {
  EXPECT_TRUE(allows_name(rules({"@packages"}), "files.example.org", 443));
  EXPECT_TRUE(allows_name(rules({"@packages"}), "packages.example.org", 8443));
  EXPECT_FALSE(allows_name(rules({"@packages"}), "packages.example.org", 443));
  EXPECT_FALSE(rules_of({Mode::allowlist, {"@packages"}}, {}).ok());
}

TEST(Egress, AsksOfAFormWhetherItNamesAGroupAndNotWhichThereAre) {
  EXPECT_TRUE(check_form({Mode::allowlist, {"@nobody"}}).ok());
  EXPECT_FALSE(check_form({Mode::allowlist, {"@"}}).ok());
  EXPECT_FALSE(check_form({Mode::allowlist, {"@a b"}}).ok());
  EXPECT_FALSE(check_form({Mode::open, {"@nobody"}}).ok());
  EXPECT_FALSE(check_form({Mode::allowlist, std::vector<std::string>(129, "@nobody")}).ok());
}

TEST(Egress, ReadsGroupsOfTheConfiguration) {
  const auto groups = parse_groups({"a=x.org", "b-2=*.y.org:22 203.0.113.0/24 z.org"});
  ASSERT_TRUE(groups.ok()) << groups.error().message();
  const Groups expected = {{"@a", {"x.org"}}, {"@b-2", {"*.y.org:22", "203.0.113.0/24", "z.org"}}};
  EXPECT_EQ(*groups, expected);
  for (const char* text : {"", "a", "=x.org", "A=x.org", "a b=x.org", "a=", "a=x.org ", "a= x.org", "a=@a", "a=x,y"})
    EXPECT_EQ(parse_groups({text}).error().slug(), "invalid_egress") << text;
  EXPECT_THAT(parse_groups({"a=x.org", "a=y.org"}).error().message(), HasSubstr("twice"));
}

TEST(Egress, RefusesWhatIsNoEntryAndNamesIt) {
  for (const char* entry : {"",
                            "*",
                            "*.",
                            "*.*.x",
                            "a.*.x",
                            "x*",
                            "http://x.org",
                            "x.org/",
                            "x.org:",
                            "x.org:0",
                            "x.org:65536",
                            "x.org:x",
                            "x.org:443:443",
                            "::1",
                            "[::1]:443",
                            "2001:db8::/32",
                            "1.2.3",
                            "1.2.3.4/33",
                            "1.2.3.4/",
                            "1.2.3.4/24",
                            "1.2.3.4/024",
                            "0.0.0.1/0",
                            "0.0.0.0/0",
                            "0.0.0.0/0:22",
                            "@nobody",
                            "a b",
                            "a,b",
                            "user@x.org",
                            "-x.org",
                            "x..org",
                            "127.1",
                            "0x7f.1:80"}) {
    const auto made = rules_of({Mode::allowlist, {entry}}, kGroups);
    ASSERT_FALSE(made.ok()) << entry;
    EXPECT_EQ(made.error().slug(), "invalid_egress") << entry;
  }
  EXPECT_THAT(rules_of({Mode::allowlist, {"good.test", "a b"}}, kGroups).error().message(), HasSubstr("\"a b\""));
  EXPECT_FALSE(rules_of({Mode::allowlist, {}}, kGroups).ok());
  EXPECT_FALSE(rules_of({Mode::open, {"x.org"}}, kGroups).ok());
  EXPECT_FALSE(rules_of({Mode::none, {"x.org"}}, kGroups).ok());
  EXPECT_TRUE(rules_of({Mode::none, {}}, kGroups).ok());
  EXPECT_FALSE(rules_of({Mode::allowlist, std::vector<std::string>(129, "x.org")}, kGroups).ok());
  EXPECT_TRUE(rules_of({Mode::allowlist, std::vector<std::string>(128, "x.org")}, kGroups).ok());
}

TEST(Egress, KnowsEntriesThatListNothing) {
  for (const char* entry : {"128.0.0.0/1", "64.0.0.0/7:443", "*.com", "*.com:22"}) {
    const auto wide = wide_entry(rules({"good.test", entry}));
    ASSERT_TRUE(wide) << entry;
    EXPECT_EQ(*wide, std::string(entry).substr(0, std::string_view(entry).find(':')));
  }
  EXPECT_FALSE(wide_entry(rules({"11.0.0.0/8", "1.2.3.4", "*.x.org", "localhost", "@packages"})));
}

TEST(Egress, AlwaysDeniesThisMachineItsNeighboursAndClouds) {
  for (const char* address :
       {"0.0.0.0",     "10.0.0.1",      "10.255.255.255",  "100.64.0.1",     "100.100.100.200", "127.0.0.1",
        "127.255.0.1", "168.63.129.16", "169.254.169.254", "172.16.0.1",     "172.31.255.255",  "192.0.0.8",
        "192.0.2.1",   "192.88.99.1",   "192.168.0.1",     "198.18.0.1",     "198.19.255.255",  "198.51.100.1",
        "203.0.113.1", "224.0.0.1",     "240.0.0.1",       "255.255.255.255"})
    EXPECT_TRUE(is_always_denied(ip(address), {})) << address;
  for (const char* address :
       {"1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
        "168.63.129.15", "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0",
        "198.17.255.255", "198.20.0.0", "223.255.255.255"})
    EXPECT_FALSE(is_always_denied(ip(address), {})) << address;
}

TEST(Egress, OpensThePartsThatTheOperatorNames) {
  const std::vector<Range> reachable = {*parse_range("10.1.0.0/16")};
  EXPECT_FALSE(is_always_denied(ip("10.1.2.3"), reachable));
  EXPECT_TRUE(is_always_denied(ip("10.2.0.0"), reachable));
}

TEST(Egress, NamesCredentialsBesideWhatIsReached) {
  const std::vector<std::string> both = {"credential:github", "good.test", "credential:shop-2", "credential:github"};
  const Egress egress{Mode::allowlist, both};
  EXPECT_EQ(rules_of(egress, {})->size(), 1U);
  EXPECT_EQ(credentials_of(egress), (std::vector<std::string>{"github", "shop-2"}));
  EXPECT_TRUE(check_form({Mode::allowlist, {"credential:github"}}).ok());
  EXPECT_TRUE(check_form({Mode::open, {"credential:github"}}).ok());
  EXPECT_FALSE(check_form({Mode::none, {"credential:github"}}).ok());
  EXPECT_FALSE(check_form({Mode::open, {"credential:github", "good.test"}}).ok());
  for (const char* entry : {"credential:", "credential:GitHub", "credential:a.b", "credential:*", "credential"})
    EXPECT_EQ(check_form({Mode::allowlist, {entry}}).ok(), std::string(entry) == "credential") << entry;
  std::vector<std::string> many;
  for (int i = 0; i < 17; ++i) many.push_back("credential:c" + std::to_string(i));
  EXPECT_FALSE(check_form({Mode::allowlist, many}).ok());
  EXPECT_FALSE(parse_groups({"g=good.test credential:github"}).ok());
}

TEST(Ranges, OverlapWhereOneContainsTheOther) {
  const Range loopback = *parse_range("127.0.0.0/8");
  for (const char* range : {"127.0.0.0/8", "127.0.0.53", "0.0.0.0/1", "126.0.0.0/7"})
    EXPECT_TRUE(overlap(*parse_range(range), loopback) && overlap(loopback, *parse_range(range))) << range;
  for (const char* range : {"128.0.0.0/1", "126.0.0.0/8", "10.0.0.0/8"})
    EXPECT_FALSE(overlap(*parse_range(range), loopback)) << range;
}

TEST(Ranges, ContainWhatBeginsAsTheyDo) {
  EXPECT_FALSE(parse_range("0.0.0.0/0").ok()) << "that is mode open";
  EXPECT_TRUE(contains(*parse_range("1.2.3.4/32"), ip("1.2.3.4")));
  EXPECT_FALSE(contains(*parse_range("1.2.3.4"), ip("1.2.3.5")));
  EXPECT_TRUE(contains(*parse_range("128.0.0.0/1"), ip("255.0.0.1")));
  EXPECT_FALSE(contains(*parse_range("128.0.0.0/1"), ip("127.255.255.255")));
}

}  // namespace
}  // namespace lmsb::network
