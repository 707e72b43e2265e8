#include "server/port_headers.h"

#include <gtest/gtest.h>

namespace lmsb::server {
namespace {

http::Headers headers_of(std::initializer_list<http::Headers::Field> fields) {
  http::Headers headers;
  for (const auto& [name, value] : fields) headers.add(name, value);
  return headers;
}

const PortVisit kVisit{"192.0.2.7", "127.0.0.1:8000", 3000};

TEST(PortHeaders, OfThePathFormHoldNothingOfTheCallers) {
  auto headers = headers_of({{"Host", "127.0.0.1:8000"},
                             {"authorization", "Bearer k"},
                             {"Cookie", "a=1"},
                             {"X-API-Key", "k"},
                             {"X-Access-Token", "t"},
                             {"X-Preview-Token", "t"},
                             {"Forwarded", "for=evil"},
                             {"X-Forwarded-For", "evil"},
                             {"X-Own", "1"}});
  edit_for_path_form(headers, kVisit, "/v1/sandboxes/x/ports/3000");
  const std::vector<http::Headers::Field> left = {{"X-Own", "1"},
                                                  {"X-Forwarded-For", "192.0.2.7"},
                                                  {"X-Forwarded-Host", "127.0.0.1:8000"},
                                                  {"X-Forwarded-Proto", "http"},
                                                  {"X-Forwarded-Prefix", "/v1/sandboxes/x/ports/3000"},
                                                  {"Host", "localhost:3000"}};
  EXPECT_EQ(headers.fields(), left);
}

TEST(PortHeaders, OfTheHostFormKeepWhatIsThePages) {
  const std::initializer_list<http::Headers::Field> given = {{"Host", "h"},
                                                             {"Authorization", "Basic x"},
                                                             {"Cookie", "a=1; lmsb_preview=t ;b=2"},
                                                             {"cookie", "lmsb_preview=u"},
                                                             {"X-API-Key", "k"}};
  auto headers = headers_of(given);
  edit_for_host_form(headers, kVisit, true);
  EXPECT_EQ(headers.find("Host"), "h");
  EXPECT_EQ(headers.find("Authorization"), "Basic x");
  EXPECT_EQ(headers.find("Cookie"), "a=1; b=2");
  EXPECT_FALSE(headers.find("X-API-Key"));
  headers = headers_of(given);
  edit_for_host_form(headers, kVisit, false);
  EXPECT_FALSE(headers.find("Authorization"));
}

TEST(PortHeaders, OfConfinedAnswersConcernNoOrigin) {
  auto headers = headers_of({{"Set-Cookie", "a=1"},
                             {"set-cookie", "b=1"},
                             {"Clear-Site-Data", "*"},
                             {"access-control-allow-origin", "*"},
                             {"Access-Control-Allow-Credentials", "true"},
                             {"Content-Security-Policy", "default-src *"},
                             {"Alt-Svc", "h3"},
                             {"Content-Type", "text/html"}});
  confine_answer(headers);
  const std::vector<http::Headers::Field> left = {
      {"Content-Type", "text/html"}, {"Content-Security-Policy", "sandbox"}, {"X-Content-Type-Options", "nosniff"}};
  EXPECT_EQ(headers.fields(), left);
}

TEST(PortHeaders, FindACookie) {
  EXPECT_EQ(cookie_of(headers_of({{"Cookie", "xlmsb_preview=0; lmsb_preview=a=b; c"}}), kPreviewToken), "a=b");
  EXPECT_EQ(cookie_of(headers_of({{"Cookie", "lmsb_preview"}}), kPreviewToken), "");
  EXPECT_EQ(cookie_of({}, kPreviewToken), "");
}

TEST(PortTargets, AreWhatStandsBehindThePort) {
  EXPECT_EQ(behind_segments("/v1/sandboxes/x/ports/80/a%2Fb//c?d=/e", 5), "/a%2Fb//c?d=/e");
  EXPECT_EQ(behind_segments("/v1/sandboxes/x/ports/80/", 5), "/");
  EXPECT_EQ(behind_segments("/v1/sandboxes/x/ports/80", 5), "/");
  EXPECT_EQ(behind_segments("/v1/sandboxes/x/ports/80?q=/x", 5), "/?q=/x");
  EXPECT_EQ(behind_segments(origin_form("http://h:1/v1/sandboxes/x/ports/80/a"), 5), "/a");
  EXPECT_EQ(behind_segments(origin_form("http://h:1?x"), 0), "/?x");
  EXPECT_EQ(behind_segments(origin_form("http://h:1"), 0), "/");
}

TEST(PortTargets, LoseOneFieldOfTheirQuery) {
  EXPECT_EQ(without_query_field("/a?x=1&t=2&y=%26&t=3", "t"), "/a?x=1&y=%26");
  EXPECT_EQ(without_query_field("/a?t=1", "t"), "/a");
  EXPECT_EQ(without_query_field("/a?t", "t"), "/a");
  EXPECT_EQ(without_query_field("/a?tt=1", "t"), "/a?tt=1");
  EXPECT_EQ(without_query_field("/a", "t"), "/a");
}

TEST(PortVisit, KnowsWhoAsksWithoutItsPort) {
  http::Request request;
  for (const auto& [address, client] : {std::pair<const char*, const char*>{"127.0.0.1:4711", "127.0.0.1"},
                                        {"[::1]:4711", "::1"},
                                        {"unix", "127.0.0.1"}}) {
    request.peer.address = address;
    EXPECT_EQ(PortVisit::of(request, 80).client, client);
  }
}

}  // namespace
}  // namespace lmsb::server
