#include <gtest/gtest.h>

#include "http/parser.h"

namespace lmsb::http {
namespace {

ParserLimits small_body() {
  ParserLimits limits;
  limits.body = Bytes(10);
  return limits;
}

TEST(ResponseParser, ReadsChunksOctetByOctet) {
  ResponseParser parser(ParserLimits(), false);
  std::string pending;
  for (const char c :
       std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) {
    pending += c;
    pending.erase(0, parser.feed(pending));
  }
  ASSERT_EQ(parser.stage(), Stage::complete);
  EXPECT_EQ(parser.response().body, "abcde");
}

TEST(ResponseParser, ReadsAnEmptyChunkedBodyOctetByOctet) {
  ResponseParser parser(ParserLimits(), false);
  std::string pending;
  for (const char c : std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")) {
    pending += c;
    pending.erase(0, parser.feed(pending));
  }
  ASSERT_EQ(parser.stage(), Stage::complete);
  EXPECT_EQ(parser.response().body, "");
}

TEST(ResponseParser, PassesOverInterimAnswers) {
  ResponseParser parser(ParserLimits(), false);
  parser.feed("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok");
  ASSERT_EQ(parser.stage(), Stage::complete);
  EXPECT_EQ(parser.response().status, 201);
  EXPECT_EQ(parser.response().body, "ok");
}

TEST(ResponseParser, PassesOverInterimAnswersButNotForEver) {
  const std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
  const std::string large = "HTTP/1.1 103 Early Hints\r\nX: " + std::string(12000, 'x') + "\r\n\r\n";
  ResponseParser patient(ParserLimits(), false);
  for (int i = 0; i < 16; ++i) patient.feed(interim);
  EXPECT_EQ(patient.stage(), Stage::idle);
  patient.feed(interim);
  ASSERT_EQ(patient.stage(), Stage::failed);
  EXPECT_EQ(patient.error().code(), ErrorCode::invalid_argument);
  ResponseParser small(ParserLimits(), false);
  for (int i = 0; i < 3; ++i) small.feed(large);
  EXPECT_EQ(small.stage(), Stage::failed);
}

TEST(ResponseParser, ReadsABodyThatLastsUntilTheConnectionEnds) {
  ResponseParser parser(ParserLimits(), false);
  parser.feed("HTTP/1.0 200 OK\r\n\r\nall of it");
  EXPECT_EQ(parser.stage(), Stage::body);
  parser.feed_end();
  ASSERT_EQ(parser.stage(), Stage::complete);
  EXPECT_EQ(parser.response().body, "all of it");
}

TEST(ResponseParser, NoticesAnAnswerThatWasCutShort) {
  ResponseParser parser(ParserLimits(), false);
  parser.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
  parser.feed_end();
  ASSERT_EQ(parser.stage(), Stage::failed);
  EXPECT_EQ(parser.error().code(), ErrorCode::unavailable);
}

TEST(ResponseParser, ExpectsNoBodyAfterHead) {
  ResponseParser parser(ParserLimits(), true);
  parser.feed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(parser.stage(), Stage::complete);
}

TEST(ResponseParser, BoundsTheBodyHoweverItIsFramed) {
  for (const char* text : {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n12345678901",
                           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n"}) {
    ResponseParser parser(small_body(), false);
    parser.feed(text);
    ASSERT_EQ(parser.stage(), Stage::failed) << text;
    EXPECT_EQ(parser.error().code(), ErrorCode::resource_exhausted);
  }
}

TEST(ResponseParser, RefusesWhatIsNotHttp) {
  ResponseParser parser(ParserLimits(), false);
  parser.feed("SSH-2.0-OpenSSH_9.2p1\r\n");
  ASSERT_EQ(parser.stage(), Stage::failed);
  EXPECT_EQ(parser.error().code(), ErrorCode::invalid_argument);
}

}  // namespace
}  // namespace lmsb::http
