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
                             {"Refresh", "0; url=/"},
                             {"Content-Location", "/"},
                             {"Sec-Session-Registration", "(ES256)"},
                             {"Use-As-Dictionary", "match=\"*\""},
                             {"Content-Type", "text/html"}});
  confine_answer(headers, LocationPlace());
  const std::vector<http::Headers::Field> left = {
      {"Content-Type", "text/html"}, {"Content-Security-Policy", "sandbox"}, {"X-Content-Type-Options", "nosniff"}};
  EXPECT_EQ(headers.fields(), left);
}

TEST(PortHeaders, SendAClientWhereOneLocationSays) {
  LocationPlace place;
  place.prefix = "/p";
  place.target = "/";
  place.is_ours = [](std::string_view) { return false; };
  auto headers = headers_of({{"location", "/v1/sandboxes/victim"}});
  confine_answer(headers, place);
  EXPECT_EQ(headers.find("Location"), "/p/v1/sandboxes/victim");
  headers = headers_of({{"Location", "/a"}, {"location", "/b"}});
  confine_answer(headers, place);
  EXPECT_FALSE(headers.find("Location"));
  headers = headers_of({{"Location", "http://127.0.0.1/"}});
  confine_answer(headers, place);
  EXPECT_FALSE(headers.find("Location"));
}

TEST(PortHeaders, NameNoTokenAsThePageThatOneComesFrom) {
  for (const char* referer : {"http://h/a?lmsb_preview=t&x=1", "http://h/a?x=1&lmsb%5Fpreview=t"}) {
    auto headers = headers_of({{"Referer", referer}});
    edit_for_host_form(headers, kVisit, true);
    EXPECT_EQ(headers.find("Referer"), "http://h/a?x=1");
  }
  auto headers = headers_of({{"Referer", "http://h/a"}, {"Referer", "http://h/?lmsb_preview=t"}});
  edit_for_host_form(headers, kVisit, true);
  EXPECT_FALSE(headers.find("Referer"));
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
  EXPECT_EQ(without_query_field("/a?%74=1&x", "t"), "/a?x");
  EXPECT_EQ(without_query_field("/a?a%5fb=1&a+b=2&%zz=3", "a_b"), "/a?a+b=2&%zz=3");
}

TEST(PortVisit, SaysWhetherItCameByHttps) {
  http::Request request;
  request.peer.is_tls = true;
  http::Headers headers;
  edit_for_host_form(headers, PortVisit::of(request, 80), false);
  EXPECT_EQ(headers.find("X-Forwarded-Proto"), "https");
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
