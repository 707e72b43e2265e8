#include "network/request_head.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lmsb::network {
namespace {

using State = RequestHead::State;
using testing::HasSubstr;
using testing::Not;

RequestHead read(const std::string& text) { return read_request_head(text, 80); }

std::string get(const std::string& fields) { return "GET /x HTTP/1.1\r\n" + fields + "\r\n"; }

TEST(RequestHead, SaysWhomItIsForAndGoesOutForOneRequest) {
  const RequestHead head = read(get("Host: Good.test:80\r\nConnection: keep-alive\r\nX-A:  b \r\n") + "more");
  ASSERT_EQ(head.state, State::found);
  EXPECT_EQ(head.host, "good.test");
  EXPECT_EQ(head.rewritten, "GET /x HTTP/1.1\r\nHost: Good.test:80\r\nX-A: b\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(head.size, get("Host: Good.test:80\r\nConnection: keep-alive\r\nX-A:  b \r\n").size());
}

TEST(RequestHead, IsWaitedForOctetByOctet) {
  const std::string whole = get("Host: good.test\r\n");
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_EQ(read(whole.substr(0, size)).state, State::more);
  EXPECT_EQ(read(whole).state, State::found);
}

TEST(RequestHead, LetsNobodyUpgrade) {
  const RequestHead head =
      read(get("Host: good.test\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"));
  ASSERT_EQ(head.state, State::found);
  EXPECT_THAT(head.rewritten, Not(HasSubstr("pgrade")));
  EXPECT_THAT(head.rewritten, Not(HasSubstr("HTTP2")));
}

TEST(RequestHead, LeavesOutWhatIsOfOneConnectionAlone) {
  const RequestHead head =
      read(get("X-A: 1\r\nTE: trailers\r\nHost: good.test\r\nTrailer: x\r\nX-B: 2\r\n"
               "connection: close ,\tX-a\r\nX-C: 3\r\nConnection: x-c\r\n"));
  ASSERT_EQ(head.state, State::found);
  EXPECT_EQ(head.rewritten, "GET /x HTTP/1.1\r\nHost: good.test\r\nX-B: 2\r\nConnection: close\r\n\r\n");
}

TEST(RequestHead, CanBeReadAgainThoughItIsLongerThen) {
  std::string fields = "Host: good.test\r\n";
  while (fields.size() < kMaxRequestHead - 100) fields += "a:b\r\n";
  const RequestHead head = read(get(fields));
  ASSERT_EQ(head.state, State::found);
  EXPECT_GT(head.rewritten.size(), kMaxRequestHead);
  EXPECT_EQ(read(head.rewritten).state, State::bad);
  EXPECT_EQ(read_request_head(head.rewritten, 80, 2 * kMaxRequestHead).state, State::found);
}

TEST(RequestHead, IsBadWhereTwoServersCouldReadItInTwoWays) {
  const std::string host = "Host: good.test\r\n";
  for (const std::string& text : {get(""),
                                  get(host + host),
                                  get("Host: good.test, evil.test\r\n"),
                                  get("Host: good.test:81\r\n"),
                                  get("Host: 1.2.3.4\r\n"),
                                  get("Host:\r\n"),
                                  get("Host: good.test.\r\n"),
                                  get("Host: a@good.test\r\n"),
                                  get("Host : good.test\r\n"),
                                  get(" Host: good.test\r\n"),
                                  get(host + "X: a\r\n b\r\n"),
                                  get(host + "X\r\n"),
                                  get(host + "X: a\nHost: evil.test\r\n"),
                                  get(host + "X: a\rb\r\n"),
                                  get(host + std::string("X: a\0b\r\n", 8)),
                                  get(host + "Content-Length: 1\r\nContent-Length: 1\r\n"),
                                  get(host + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
                                  get(host + "Content-Length: 1\r\nConnection: close, content-length\r\n"),
                                  get(host + "Connection: Host\r\n"),
                                  get(host + "Content-Length: +1\r\n"),
                                  get(host + "Content-Length: 1, 1\r\n"),
                                  get(host + "Content-Length: \r\n"),
                                  get(host + "Content-Length: 99999999999999999999\r\n"),
                                  get(host + "Transfer-Encoding: gzip, chunked\r\n"),
                                  get(host + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
                                  "GET http://evil.test/ HTTP/1.1\r\n" + host + "\r\n",
                                  "CONNECT evil.test:443 HTTP/1.1\r\n" + host + "\r\n",
                                  "GET evil.test HTTP/1.1\r\n" + host + "\r\n",
                                  "GET / HTTP/2.0\r\n" + host + "\r\n",
                                  "GET /\r\n" + host + "\r\n",
                                  "GET  / HTTP/1.1\r\n" + host + "\r\n",
                                  "GET /a b HTTP/1.1\r\n" + host + "\r\n",
                                  "G@T / HTTP/1.1\r\n" + host + "\r\n",
                                  "POST / HTTP/1.0\r\n" + host + "Transfer-Encoding: chunked\r\n\r\n",
                                  std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
                                  "\r\n" + get(host),
                                  std::string("SSH-2.0-x\r\n"),
                                  std::string("\x16\x03\x01") + "x",
                                  "GET / HTTP/1.1\r\n" + std::string(40000, 'a')})
    EXPECT_EQ(read(text).state, State::bad) << text.substr(0, 120);
}

std::size_t taken(RequestBody& body, const std::string& octets) { return body.take(octets); }

TEST(RequestBody, EndsWhereItsLengthSays) {
  RequestBody body(read("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n"));
  EXPECT_EQ(taken(body, "abc"), 3U);
  EXPECT_FALSE(body.has_ended());
  EXPECT_EQ(taken(body, "deGET / HTTP/1.1"), 2U);
  EXPECT_TRUE(body.has_ended());
  EXPECT_EQ(taken(body, "GET"), 0U);
  EXPECT_TRUE(RequestBody(read(get("Host: a.test\r\n"))).has_ended());
}

TEST(RequestBody, EndsWithItsLastChunkHoweverItComes) {
  const RequestHead head = read("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string whole = "3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
  for (std::size_t at = 0; at <= whole.size(); ++at) {
    RequestBody body(head);
    EXPECT_EQ(taken(body, whole.substr(0, at)), at);
    EXPECT_EQ(body.has_ended(), at == whole.size());
    EXPECT_EQ(taken(body, whole.substr(at) + "GET / HTTP/1.1"), whole.size() - at);
    EXPECT_TRUE(body.has_ended());
    EXPECT_FALSE(body.is_bad());
  }
}

TEST(RequestBody, IsBadWithChunksThatReadersDifferOver) {
  const RequestHead head = read("POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
  for (const char* octets :
       {"\r\n", "x\r\n", "3;ext=1\r\nabc\r\n", "3\nabc\r\n", "3\r\nabcd\r\n", "3\r\nabc\n", "0\r\nTrailer: x\r\n\r\n",
        "-1\r\n", "0x3\r\nabc\r\n", " 3\r\nabc\r\n", "00000000000000003\r\nabc\r\n", "ffffffffffffffff\r\n"}) {
    RequestBody body(head);
    EXPECT_LT(taken(body, octets), std::string(octets).size()) << octets;
    EXPECT_TRUE(body.is_bad()) << octets;
  }
}

}  // namespace
}  // namespace lmsb::network
