#include "server/preview_host.h"

#include <gtest/gtest.h>

namespace lmsb::server {
namespace {

const std::string kId = "k3u9d2m5q7x1c4v8b6n0";

TEST(PreviewHost, IsAPortAndAWholeId) {
  for (const std::string& host : {"3000-" + kId + ".localhost", "3000-" + kId + ".localhost:8000",
                                  std::string("3000-K3U9D2M5Q7X1C4V8B6N0.LocalHost:80")}) {
    const auto place = PreviewHost::parse(host);
    ASSERT_TRUE(place) << host;
    EXPECT_EQ(place->port, 3000);
    EXPECT_EQ(place->sandbox, kId);
    EXPECT_EQ(place->name(), "3000-" + kId + ".localhost");
  }
}

TEST(PreviewHost, IsNothingElse) {
  const std::string domain = ".localhost";
  for (const std::string& host : {std::string(),
                                  std::string("localhost"),
                                  std::string("127.0.0.1:8000"),
                                  "0-" + kId + domain,
                                  "65536-" + kId + domain,
                                  "03000-" + kId + domain,
                                  "-3000-" + kId + domain,
                                  "+1-" + kId + domain,
                                  "3000" + kId + domain,
                                  "3000-" + kId.substr(1) + domain,
                                  "3000-" + kId + "x" + domain,
                                  "3000-3" + kId.substr(1) + domain,
                                  "3000-" + kId + domain + ".evil.com",
                                  "3000-" + kId + ".evil.com",
                                  "3000-" + kId + domain + ".",
                                  "a.3000-" + kId + domain,
                                  "3000-" + kId + ".a" + domain,
                                  "3000-" + kId + "localhost",
                                  "3000-" + kId + domain + ":x",
                                  "3000--" + kId.substr(1) + domain,
                                  "evil.com#3000-" + kId + domain}) {
    EXPECT_FALSE(PreviewHost::parse(host)) << host;
  }
}

TEST(PreviewHost, IsReadFromAnOrigin) {
  EXPECT_TRUE(PreviewHost::of_origin("http://3000-" + kId + ".localhost:8000"));
  EXPECT_TRUE(PreviewHost::of_origin("https://3000-" + kId + ".localhost"));
  EXPECT_FALSE(PreviewHost::of_origin("3000-" + kId + ".localhost"));
  EXPECT_FALSE(PreviewHost::of_origin("null"));
  EXPECT_FALSE(PreviewHost::of_origin("http://localhost:8000"));
}

}  // namespace
}  // namespace lmsb::server
