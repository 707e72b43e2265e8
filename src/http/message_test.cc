#include "http/message.h"

#include <gtest/gtest.h>

#include "http/address.h"
#include "http/wire.h"

namespace lmsb::http {
namespace {

TEST(Headers, CompareNamesWithoutCase) {
  Headers headers;
  headers.add("X-A", "1");
  headers.add("x-a", "2");
  EXPECT_EQ(headers.find("X-a"), "1");
  EXPECT_EQ(headers.count("x-A"), 2U);
  headers.set("X-A", "3");
  EXPECT_EQ(headers.count("x-a"), 1U);
  EXPECT_EQ(headers.find("x-a"), "3");
  EXPECT_EQ(headers.find("y"), std::nullopt);
}

TEST(Wire, LeavesFramingToTheServer) {
  Response response = Response::json(200, "{}");
  response.headers.add("Content-Length", "99");
  response.headers.add("Transfer-Encoding", "chunked");
  std::string head;
  append_head(head, response, Framing());
  EXPECT_EQ(head.find("99"), std::string::npos);
  EXPECT_EQ(head.find("chunked"), std::string::npos);
  EXPECT_NE(head.find("Content-Length: 2\r\n"), std::string::npos);
}

TEST(Wire, MakesValidJsonOfAnyRefusal) {
  EXPECT_EQ(refusal_answer(400, "a\"b\\c\n\xff").body, "{\"detail\":\"a\\\"b\\\\c \xEF\xBF\xBD\"}");
}

TEST(Address, IsReadAndWritten) {
  for (const char* text : {"127.0.0.1:8000", "[::1]:0", "0.0.0.0:65535"}) {
    EXPECT_EQ(to_address(*parse_host_port(text))->str(), text);
  }
  EXPECT_EQ(to_address(*parse_host_port("localhost:1"))->str(), "127.0.0.1:1");
}

TEST(Address, IsRefusedWhenMalformed) {
  for (const char* text :
       {"", "8000", ":8000", "a:", "1.2.3.4:65536", "1.2.3.4:-1", "1.2.3.4:8x", "::1:80", "1.2.3.4"}) {
    EXPECT_FALSE(parse_host_port(text).ok()) << text;
  }
  EXPECT_FALSE(to_address(*parse_host_port("example.org:80")).ok()) << "names are not asked for";
}

TEST(Address, KnowsLoopback) {
  EXPECT_TRUE(to_address(*parse_host_port("127.9.9.9:1"))->is_loopback());
  EXPECT_TRUE(to_address(*parse_host_port("[::1]:1"))->is_loopback());
  EXPECT_FALSE(to_address(*parse_host_port("0.0.0.0:1"))->is_loopback());
  EXPECT_FALSE(to_address(*parse_host_port("[::]:1"))->is_loopback());
  EXPECT_FALSE(to_address(*parse_host_port("192.168.1.1:1"))->is_loopback());
}

TEST(Wire, NamesTheStatusesThatAreSent) {
  EXPECT_EQ(reason_phrase(303), "See Other");
  EXPECT_EQ(reason_phrase(799), "Unknown");
}

}  // namespace
}  // namespace lmsb::http
