#include <gtest/gtest.h>

#include "http/parser.h"

namespace lmsb::http {
namespace {

// server_test.cc has the rest, over sockets.
TEST(RequestParser, ReadsAnEmptyChunkedBodyOctetByOctet) {
  RequestParser parser{ParserLimits()};
  std::string pending;
  for (const char c :
       std::string("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nTrailer: x\r\n\r\n")) {
    pending += c;
    pending.erase(0, parser.feed(pending));
  }
  ASSERT_EQ(parser.stage(), Stage::complete);
  EXPECT_EQ(parser.request().body, "");
  EXPECT_FALSE(parser.request().headers.find("Trailer"));
}

}  // namespace
}  // namespace lmsb::http
