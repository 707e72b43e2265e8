#include "http/hop_headers.h"

#include <gtest/gtest.h>

namespace lmsb::http {
namespace {

TEST(HopHeaders, AreThoseOfTheConnectionAndThoseItNames) {
  Headers headers;
  headers.add("Host", "h");
  headers.add("Connection", "close, X-Once ,");
  headers.add("connection", "x-twice");
  for (const char* name : {"X-Once", "X-TWICE", "Keep-Alive", "TE", "Trailer", "Transfer-Encoding", "Upgrade",
                           "Proxy-Connection", "proxy-authorization"})
    headers.add(name, "1");
  headers.add("Content-Length", "3");
  headers.add("Set-Cookie", "a=1");
  headers.add("Set-Cookie", "b=2");
  remove_hop_headers(headers);
  const std::vector<Headers::Field> left = {
      {"Host", "h"}, {"Content-Length", "3"}, {"Set-Cookie", "a=1"}, {"Set-Cookie", "b=2"}};
  EXPECT_EQ(headers.fields(), left);
}

TEST(HopHeaders, FindATokenInAnyOfItsFields) {
  Headers headers;
  headers.add("Connection", "keep-alive ,\tUpgrade");
  headers.add("Upgrade", "h2c");
  headers.add("upgrade", "WebSocket");
  EXPECT_TRUE(lists(headers, "connection", "upgrade"));
  EXPECT_TRUE(lists(headers, "Upgrade", "websocket"));
  EXPECT_FALSE(lists(headers, "Connection", "keep"));
  EXPECT_FALSE(lists(headers, "Trailer", "upgrade"));
}

}  // namespace
}  // namespace lmsb::http
