#include "http/target.h"

#include <gtest/gtest.h>

namespace lmsb::http {
namespace {

TEST(Target, DecodesPathAndQuery) {
  const Target target = *parse_target("/a%20b/%C3%A4?x=1%262&y&x=2+3&=z");
  EXPECT_EQ(target.path, "/a b/\xC3\xA4");
  EXPECT_EQ(target.query.at("x"), "2 3") << "the last of equal names";
  EXPECT_EQ(target.query.at("y"), "");
  EXPECT_EQ(target.query.at(""), "z");
}

TEST(Target, LeavesPlusAloneInThePath) { EXPECT_EQ(parse_target("/a+b")->path, "/a+b"); }

TEST(Target, KnowsTheAbsoluteForm) {
  const Target target = *parse_target("HTTP://host:80?q=1");
  EXPECT_EQ(target.authority, "host:80");
  EXPECT_EQ(target.path, "/");
  EXPECT_EQ(target.query.at("q"), "1");
}

TEST(Target, RefusesWhatIsMalformed) {
  for (const char* text : {"", "*", "a", "ftp://a/", "http://", "http://u@h/", "/%", "/%1", "/%gg", "/%00", "/%C3",
                           "/\xC3\xA4", "/a b", "/a\x7f", "/#", "/?%2", "/?a=%00"}) {
    EXPECT_FALSE(parse_target(text).ok()) << text;
  }
}

TEST(Target, EncodesWhatItDecodes) {
  const std::string all = "a/b c%+&=?#\xC3\xA4~-._";
  EXPECT_EQ(percent_encode(all), "a%2Fb%20c%25%2B%26%3D%3F%23%C3%A4~-._");
  EXPECT_EQ(*percent_decode(percent_encode(all), true), all);
}

}  // namespace
}  // namespace lmsb::http
