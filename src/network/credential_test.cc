#include "network/credential.h"

#include <gtest/gtest.h>

#include "network/credential_request.h"

namespace lmsb::network {
namespace {

TEST(Credentials, SayWhichHostGetsWhichHeaderFromWhichFile) {
  const auto parsed = parse_credentials({"github=https://API.github.example Authorization: Bearer @/etc/token",
                                         "shop-2=https://shop.example:8443/v1/ X-Api-Key: @/etc/shop key"});
  ASSERT_TRUE(parsed.ok()) << parsed.error().message();
  const Credential github{"github", "api.github.example", 443, "", "Authorization", "Bearer ", "/etc/token"};
  const Credential shop{"shop-2", "shop.example", 8443, "/v1", "X-Api-Key", "", "/etc/shop key"};
  EXPECT_EQ(parsed->at("github"), github);
  EXPECT_EQ(parsed->at("shop-2"), shop);
}

TEST(Credentials, ThatAreMalformedAreErrorsThatSayWhatIs) {
  for (const char* text : {"",
                           "github",
                           "=https://a.test X: @/f",
                           "GitHub=https://a.test X: @/f",
                           "a-=https://a.test X: @/f",
                           "a.b=https://a.test X: @/f",
                           "abcdefghijklmnopqrstuvwxyz-0123456=https://a.test X: @/f",
                           "a=http://a.test X: @/f",
                           "a=https:// X: @/f",
                           "a=https://1.2.3.4 X: @/f",
                           "a=https://a.test:0 X: @/f",
                           "a=https://a.test:99999 X: @/f",
                           "a=https://a.test/../x X: @/f",
                           "a=https://a.test/%2e%2e X: @/f",
                           "a=https://a.test/?x X: @/f",
                           "a=https://user@a.test X: @/f",
                           "a=https://a.test",
                           "a=https://a.test @/f",
                           "a=https://a.test X Y: @/f",
                           "a=https://a.test Host: @/f",
                           "a=https://a.test transfer-encoding: @/f",
                           "a=https://a.test X: secret",
                           "a=https://a.test X: @f",
                           "a=https://a.test X: Bearer@/f",
                           "a=https://a.test X: B\r\nY: @/f"})
    EXPECT_FALSE(parse_credentials({text}).ok()) << text;
  EXPECT_FALSE(parse_credentials({"a=https://a.test X: @/f", "a=https://b.test X: @/f"}).ok());
}

TEST(Credentials, ThatAreMalformedAreNotRepeatedSinceTheSecretMayStandInThem) {
  for (const char* text :
       {"github=https://a.test Authorization: Bearer ghp_abc", "github=ghp_abc", "ghp_abc", "ghp_abc=x"}) {
    const auto parsed = parse_credentials({text});
    ASSERT_FALSE(parsed.ok());
    EXPECT_EQ(parsed.error().message().find("ghp_abc"), std::string::npos) << parsed.error().message();
  }
  EXPECT_NE(parse_credentials({"github=ghp_abc"}).error().message().find("\"github\""), std::string::npos);
}

class RequestWithCredential : public testing::Test {
 protected:
  Result<std::string> request(const std::string& octets) {
    const RequestHead head = read_request_head(octets, 80);
    EXPECT_EQ(head.state, RequestHead::State::found) << octets;
    return request_with(credential_, "s3cret", head);
  }
  Result<std::string> get(const std::string& target, const std::string& fields = "") {
    return request("GET " + target + " HTTP/1.1\r\nHost: api.internal\r\n" + fields + "\r\n");
  }
  Credential credential_{"api", "api.example", 443, "", "Authorization", "Bearer ", "/f"};
};

TEST_F(RequestWithCredential, HasTheOperatorsHeaderAndHostInPlaceOfItsOwn) {
  EXPECT_EQ(
      *get("/x?y", "AUTHORIZATION: Basic mine\r\nAccept: */*\r\nauthorization: again\r\nConnection: Authorization\r\n"),
      "GET /x?y HTTP/1.1\r\nHost: api.example\r\nAuthorization: Bearer s3cret\r\nAccept: */*\r\n"
      "Connection: close\r\n\r\n");
  credential_.port = 8443;
  credential_.header = "X-Key";
  credential_.before = "";
  EXPECT_EQ(
      *request("POST / HTTP/1.1\r\nHost: api.internal:80\r\nContent-Length: 2\r\nx-key: 1\r\n\r\nab"),
      "POST / HTTP/1.1\r\nHost: api.example:8443\r\nX-Key: s3cret\r\nContent-Length: 2\r\nConnection: close\r\n\r\n");
}

TEST_F(RequestWithCredential, IsRefusedToOtherHostsAndWhereTheAnswerWouldTell) {
  for (const char* octets :
       {"GET / HTTP/1.1\r\nHost: other.internal\r\n\r\n", "GET / HTTP/1.1\r\nHost: api.example\r\n\r\n",
        "TRACE / HTTP/1.1\r\nHost: api.internal\r\n\r\n", "trace / HTTP/1.1\r\nHost: api.internal\r\n\r\n",
        "TRACK / HTTP/1.1\r\nHost: api.internal\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: api.internal\r\n\r\n"}) {
    const auto refused = request(octets);
    ASSERT_FALSE(refused.ok()) << octets;
    EXPECT_EQ(refused.error().slug(), "credential_request_refused");
  }
}

TEST_F(RequestWithCredential, KeepsBelowItsPathHoweverThatIsSpelled) {
  credential_.path = "/repos/mine";
  for (const char* target :
       {"/repos/mine", "/repos/mine/", "/repos/mine?x=/../y", "/repos/mine/a.b/c%20d", "/repos/mine/..."})
    EXPECT_TRUE(get(target).ok()) << target;
  for (const char* target :
       {"/", "/repos", "/repos/mineral", "/repos/mine/../other", "/repos/mine/..", "/repos/mine/./x",
        "/repos/mine/%2e%2E/x", "/repos/mine/%252e%252e/x", "/repos/mine/..%2fx", "/repos/mine//x", "/repos/mine/..\\x",
        "/repos/mine/%5c", "/repos/mine/..;/x", "/repos/mine#x", "/REPOS/mine", "/repos/mine/x%00"})
    EXPECT_FALSE(get(target).ok()) << target;
}

TEST_F(RequestWithCredential, NamesNoOtherTargetWhereItHasAPath) {
  const std::string fields =
      "X-Original-URL: /other\r\nx_rewrite_url: /other\r\nX-HTTP-Method-Override: TRACE\r\nX-Other: 1\r\n";
  EXPECT_NE(get("/", fields)->find(fields), std::string::npos);
  credential_.path = "/repos";
  EXPECT_EQ(*get("/repos", fields),
            "GET /repos HTTP/1.1\r\nHost: api.example\r\nAuthorization: Bearer s3cret\r\nX-Other: 1\r\n"
            "Connection: close\r\n\r\n");
}

bool is_said(const std::string& answer, std::size_t piece = 1) {
  AnswerFraming framing;
  for (std::size_t at = 0; at < answer.size(); at += piece) framing.take(std::string_view(answer).substr(at, piece));
  return framing.is_said();
}

TEST(AnswerFraming, SaysWhetherWhoGetsAPartKnowsIt) {
  for (const std::size_t piece : {1U, 7U, 1000U}) {
    EXPECT_TRUE(is_said("HTTP/1.1 200 OK\r\nX: y\r\ncontent-LENGTH: 5\r\n\r\nhello", piece));
    EXPECT_TRUE(is_said("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", piece));
    EXPECT_TRUE(is_said("HTTP/1.1 204 No Content\r\n\r\n", piece));
    EXPECT_TRUE(is_said("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", piece));
    EXPECT_TRUE(is_said("HTTP/1.1 200 OK\r\nTransfer-Encoding:gzip, Chunked \r\nContent-Length: 5\r\n\r\n", piece));
    EXPECT_FALSE(is_said("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n", piece));
    EXPECT_FALSE(is_said("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", piece));
    EXPECT_FALSE(is_said("HTTP/1.1 200 OK\r\nContent-Type: x\r\n\r\nContent-Length: 5\r\n\r\n", piece));
    EXPECT_FALSE(is_said("HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\n", piece));
    EXPECT_FALSE(is_said("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", piece)) << "its head has not ended";
  }
  EXPECT_FALSE(is_said("\r\n\r\n"));
  EXPECT_FALSE(is_said(std::string(100'000, 'x') + "\r\nContent-Length: 5\r\n\r\n", 1000));
}

}  // namespace
}  // namespace lmsb::network
