#include <string>
#include <utility>

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

// The stage and, if it failed, the status of a request that comes in pieces of `step` octets.
std::pair<Stage, int> outcome(const std::string& request, std::size_t step) {
  ParserLimits limits;
  limits.header = Bytes(1024);
  RequestParser parser{limits};
  std::string pending;
  for (std::size_t at = 0; at < request.size() && parser.stage() != Stage::failed; at += step) {
    pending += request.substr(at, step);
    pending.erase(0, parser.feed(pending));
  }
  return {parser.stage(), parser.stage() == Stage::failed ? parser.refusal().status : 0};
}

// A fuzzer's find: Beast limits what one call gives it, so whether a header was too large depended on how it was cut.
TEST(RequestParser, FindsAHeaderTooLargeHoweverItIsCut) {
  const std::string start = "GET / HTTP/1.1\r\nHost: a\r\n";
  const std::size_t rest = 1024 - start.size() - std::string_view("X: \r\n\r\n").size();
  const std::string just_fits = start + "X: " + std::string(rest, 'x') + "\r\n\r\n";
  const std::string too_large = start + "X: " + std::string(rest + 1, 'x') + "\r\n\r\n";
  for (const std::size_t step : {std::size_t{1}, std::size_t{33}, std::size_t{4096}}) {
    EXPECT_EQ(outcome(just_fits, step), std::pair(Stage::complete, 0)) << step;
    EXPECT_EQ(outcome(too_large, step), std::pair(Stage::failed, 431)) << step;
  }
}

TEST(RequestParser, RefusesAFieldThatGoesOnInTheNextLine) {
  const std::string folded = "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n";
  for (const std::size_t step : {std::size_t{1}, std::size_t{4096}})
    EXPECT_EQ(outcome(folded, step), std::pair(Stage::failed, 400)) << step;
}

TEST(RequestParser, DoesNotCountABodyAsHeader) {
  const std::string request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n" + std::string(3000, ' ');
  EXPECT_EQ(outcome(request, 4096), std::pair(Stage::complete, 0));
  EXPECT_EQ(outcome(request, 7), std::pair(Stage::complete, 0));
}

}  // namespace
}  // namespace lmsb::http
