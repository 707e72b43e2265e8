#include "server/port_location.h"

#include <gtest/gtest.h>

namespace lmsb::server {
namespace {

const std::string kPrefix = "/v1/sandboxes/web/ports/3000";

std::string told(std::string_view location, std::string target = "/a/b?q=1") {
  LocationPlace place;
  place.prefix = kPrefix;
  place.target = std::move(target);
  place.port = 3000;
  place.host = "Daemon.lan:8000";
  place.is_ours = [](std::string_view host) { return host.starts_with("daemon.lan") || host == "192.0.2.1"; };
  const auto confined = confined_location(location, place);
  if (!confined) return "(removed)";
  return confined->starts_with(kPrefix) ? "port:" + confined->substr(kPrefix.size()) : *confined;
}

TEST(PortLocation, OfAPathIsBelowThePort) {
  EXPECT_EQ(told("/v1/sandboxes/victim"), "port:/v1/sandboxes/victim");
  EXPECT_EQ(told("/"), "port:/");
  EXPECT_EQ(told(" /x?a=/../b#/../c "), "port:/x?a=/../b#/../c");
  EXPECT_EQ(told("/a%20b//c/"), "port:/a%20b//c/");
}

TEST(PortLocation, DoesNotClimbOut) {
  for (const char* climbing :
       {"/../victim", "/x/../../victim", "/%2e%2E/victim", "/.%2e/%2e/victim", "/./../victim", "../../../victim"})
    EXPECT_EQ(told(climbing), "port:/victim") << climbing;
  EXPECT_EQ(told("/x/.."), "port:/");
  EXPECT_EQ(told("/x/y/."), "port:/x/y/");
  for (const char* hidden : {"/..%2fvictim", "/x%2f..%2f..", "/..%5cvictim", "/%zz", "/%"})
    EXPECT_EQ(told(hidden), "(removed)") << hidden;
}

TEST(PortLocation, IsNotPutBelowThePortTwice) {
  EXPECT_EQ(told(kPrefix + "/x"), "port:/x");
  EXPECT_EQ(told(kPrefix), "port:");
  EXPECT_EQ(told(kPrefix + "/../3001/x"), "port:/v1/sandboxes/web/ports/3001/x");
  EXPECT_EQ(told(kPrefix + "0/x"), "port:" + kPrefix + "0/x");
}

TEST(PortLocation, IsResolvedAgainstTheRequest) {
  EXPECT_EQ(told("c"), "port:/a/c");
  EXPECT_EQ(told("./c?x"), "port:/a/c?x");
  EXPECT_EQ(told("../c"), "port:/c");
  EXPECT_EQ(told("?x"), "port:/a/b?x");
  EXPECT_EQ(told("#x"), "port:/a/b?q=1#x");
  EXPECT_EQ(told(""), "port:/a/b?q=1");
  EXPECT_EQ(told("1:2"), "port:/a/1:2");
  EXPECT_EQ(told("c", "/"), "port:/c");
}

TEST(PortLocation, OfThePortsOwnOriginIsBelowThePort) {
  EXPECT_EQ(told("http://localhost:3000/x/../y"), "port:/y");
  EXPECT_EQ(told("HTTPS://LOCALHOST:3000"), "port:/");
  EXPECT_EQ(told("http://localhost:3000?x"), "port:/?x");
  EXPECT_EQ(told("http://daemon.lan:8000/v1/sandboxes/victim"), "port:/v1/sandboxes/victim");
  EXPECT_EQ(told("//daemon.lan:8000" + kPrefix + "/x"), "port:/x");
}

TEST(PortLocation, NamesNoOtherAddressOfOurs) {
  for (const char* ours : {"http://localhost/x", "http://localhost:8000/v1/sandboxes/victim", "http://127.0.0.1:8000/",
                           "http://[::1]:8000/", "//127.0.0.9/x", "https://192.0.2.1/x", "http://daemon.lan/x",
                           "http://0.0.0.0:8000/", "http://3000-k3u9d2m5q7x1c4v8b6n0.localhost:8000/"})
    EXPECT_EQ(told(ours), "(removed)") << ours;
}

TEST(PortLocation, MayBeElsewhere) {
  for (const char* elsewhere : {"https://example.com/a/../b?c#d", "http://example.com", "//example.com:81/x"})
    EXPECT_EQ(told(elsewhere), elsewhere);
}

TEST(PortLocation, ThatProgramsReadDifferentlyIsRemoved) {
  for (const char* odd : {"\\\\evil.com",
                          "/\\evil.com",
                          "http:/x",
                          "http:x",
                          "http:///x",
                          "///x",
                          "//",
                          "http://",
                          "http://a@127.0.0.1:8000/",
                          "http://evil.com\\@127.0.0.1/",
                          "http://127.0.0.1:8000:1/",
                          "javascript:x",
                          "ftp://a/",
                          "file:///etc",
                          "/a b",
                          "/a\tb",
                          "h\tttp://127.0.0.1/",
                          "/\xc3\xa4",
                          "http://%6cocalhost:8000/",
                          "http://127.0.0.1\xe3\x80\x82/"})
    EXPECT_EQ(told(odd), "(removed)") << odd;
}

}  // namespace
}  // namespace lmsb::server
