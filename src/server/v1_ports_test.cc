#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/test_support.h"

namespace lmsb::server {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kId = "k3u9d2m5q7x1c4v8b6n0";
const std::string kHost = "3000-" + kId + ".localhost:8000";

http::Request preview_request(std::string target = "/", std::string host = kHost) {
  auto request = local_request("GET", target.substr(0, target.find('?')));
  if (const auto mark = target.find("lmsb_preview="); mark != std::string::npos)
    request.query["lmsb_preview"] = target.substr(mark + 13, target.find('&', mark) - mark - 13);
  request.target = std::move(target);
  request.headers.set("Host", std::move(host));
  return request;
}

TEST(PortsByPath, ReachThePortAndNothingOfTheCallersDoes) {
  Fixture f;
  auto request = local_request("GET", "/v1/sandboxes/box/ports/3000/a/b");
  request.target = "/v1/sandboxes/box/ports/3000/a%2Fb?x";
  request.headers.set("Cookie", "secret");
  const auto response = f.send(std::move(request));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "hello");
  EXPECT_EQ(response.headers.find("Content-Security-Policy"), "sandbox");
  EXPECT_EQ(f.control.fake_ports.named, "box");
  EXPECT_EQ(f.control.fake_ports.port, 3000);
  const std::string heard = f.control.fake_ports.heard();
  EXPECT_THAT(heard, HasSubstr("GET /a%2Fb?x HTTP/1.1\r\n"));
  EXPECT_THAT(heard, HasSubstr("Host: localhost:3000\r\n"));
  EXPECT_THAT(heard, Not(HasSubstr("secret")));
}

TEST(PortsByPath, SendNobodyToTheApi) {
  Fixture f;
  const auto location = [&f](const std::string& told) {
    f.control.fake_ports.answer =
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: " + told + "\r\nContent-Length: 0\r\n\r\n";
    auto request = local_request("DELETE", "/v1/sandboxes/box/ports/3000/a");
    request.target = request.path;
    const auto answer = f.send(std::move(request));
    return std::string(answer.headers.find("Location").value_or("(none)"));
  };
  EXPECT_EQ(location("/v1/sandboxes/victim"), "/v1/sandboxes/box/ports/3000/v1/sandboxes/victim");
  EXPECT_EQ(location("../../../victim"), "/v1/sandboxes/box/ports/3000/victim");
  EXPECT_EQ(location("http://localhost:3000/b"), "/v1/sandboxes/box/ports/3000/b");
  EXPECT_EQ(location("http://127.0.0.1/v1/sandboxes/victim"), "(none)");
  EXPECT_EQ(location("https://example.com/"), "https://example.com/");
}

TEST(PortsByPath, TakeBodiesOfAnyKind) {
  Fixture f;
  auto request = local_request("POST", "/v1/sandboxes/box/ports/3000/");
  request.body = "a=1";
  request.headers.set("Content-Length", "3");
  request.headers.set("Content-Type", "application/x-www-form-urlencoded");
  EXPECT_EQ(f.send(std::move(request)).status, 200);
}

TEST(PortsByPath, RefuseBrowsersThatWouldRunTheAnswer) {
  Fixture f;
  for (const char* dest : {"document", "iframe", "frame", "embed", "object", "script", "style", "worker", "made-up"}) {
    auto request = local_request("GET", "/v1/sandboxes/box/ports/3000/");
    request.headers.set("Sec-Fetch-Dest", dest);
    const auto response = f.send(std::move(request));
    EXPECT_EQ(response.status, 403) << dest;
    EXPECT_THAT(response.body, HasSubstr("browser_refused"));
  }
  EXPECT_EQ(f.control.fake_ports.named, "");
}

TEST(PortsByPath, SayWhatIsWrongInOurWords) {
  Fixture f;
  f.control.fake_ports.error = Error(ErrorCode::unavailable, "nothing").with_slug("port_not_listening");
  EXPECT_EQ(f.send("GET", "/v1/sandboxes/box/ports/3000/").status, 502);
  f.control.fake_ports.error = Error(ErrorCode::unavailable, "reset").with_slug("port_no_answer");
  EXPECT_EQ(f.send("GET", "/v1/sandboxes/box/ports/3000/").status, 502);
  f.control.fake_ports.error.reset();
  f.control.fake_ports.answer = "no HTTP\r\n\r\n";
  const auto response = f.send("GET", "/v1/sandboxes/box/ports/3000/");
  EXPECT_EQ(response.status, 502);
  EXPECT_THAT(response.body, HasSubstr("port_bad_answer"));
  for (const char* port : {"0", "65536", "x", "+1", "1%20"})
    EXPECT_EQ(f.send("GET", "/v1/sandboxes/box/ports/" + std::string(port) + "/").status, 400) << port;
}

TEST(PortsByPath, AreListed) {
  Fixture f;
  f.control.sandbox.id = kId;
  f.control.fake_ports.listening = {{80, "0.0.0.0", 0, ""}, {8000, "::1", 12, "python3"}};
  const auto response = f.send("GET", "/v1/sandboxes/box/ports");
  EXPECT_EQ(response.body,
            R"({"data":[{"port":80,"address":"0.0.0.0","process":null,"pid":null,"url":"/v1/sandboxes/)" + kId +
                R"(/ports/80/"},{"port":8000,"address":"::1","process":"python3","pid":12,"url":"/v1/sandboxes/)" +
                kId + R"(/ports/8000/"}],"next_cursor":null})");
  EXPECT_EQ(f.control.fake_ports.named, kId);
}

TEST(PortsByHostName, GetTheWholeRequestAndGiveTheWholeAnswer) {
  Fixture f;
  f.control.fake_ports.answer = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n";
  const auto response = f.send(preview_request("/v1/sandboxes?x=1"));
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.find("Set-Cookie"), "a=1");
  EXPECT_FALSE(response.headers.find("X-Content-Type-Options"));
  EXPECT_EQ(f.control.fake_ports.asker.name, "local:1000");
  EXPECT_EQ(f.control.fake_ports.named, kId);
  const std::string heard = f.control.fake_ports.heard();
  EXPECT_THAT(heard, HasSubstr("GET /v1/sandboxes?x=1 HTTP/1.1\r\n"));
  EXPECT_THAT(heard, HasSubstr("Host: " + kHost + "\r\n"));
}

TEST(PortsByHostName, ArePagesThatNoRouteOfTheApiAccepts) {
  DoorPolicy policy = local_policy();
  policy.allow_hosts = {"3000-" + kId + ".localhost"};
  policy.allow_origins = {"http://" + kHost};
  Fixture f(policy);
  for (const RouteRow& row : f.app.routes().rows()) {
    auto request = local_request(row.method, row.pattern, R"({"cmd":"x"})");
    request.headers.set("Origin", "http://" + kHost);
    EXPECT_EQ(f.send(request).status, 403) << row.pattern;
  }
  EXPECT_EQ(f.control.asker.name, "");
}

TEST(PortsByHostName, HaveTheDoorsOfTheApi) {
  Fixture f;
  auto stranger = preview_request();
  stranger.peer.uid = kStranger;
  EXPECT_EQ(f.send(std::move(stranger)).status, 401);
  auto foreign = preview_request();
  foreign.headers.set("Origin", "http://evil.com");
  EXPECT_EQ(f.send(std::move(foreign)).status, 403);
  auto twice = preview_request();
  twice.headers.add("Host", kHost);
  EXPECT_EQ(f.send(std::move(twice)).status, 421);
  auto elsewhere = preview_request();
  elsewhere.target = "http://evil.com/";
  EXPECT_EQ(f.send(std::move(elsewhere)).status, 421);
  EXPECT_EQ(f.control.fake_ports.named, "");
}

TEST(PortsByHostName, SeeNoKeyOfOurs) {
  DoorPolicy policy = local_policy();
  policy.keys = {ApiKey::from_secret("ci", Secret("k-1"), false)};
  Fixture f(policy);
  auto request = preview_request();
  request.headers.set("X-API-Key", "k-1");
  request.headers.set("Authorization", "Bearer k-1");
  EXPECT_EQ(f.send(std::move(request)).status, 200);
  EXPECT_THAT(f.control.fake_ports.heard(), Not(HasSubstr("k-1")));
  auto own = preview_request();
  own.headers.set("Authorization", "Bearer own");
  EXPECT_EQ(f.send(std::move(own)).status, 200);
  EXPECT_THAT(f.control.fake_ports.heard(), HasSubstr("Authorization: Bearer own\r\n"));
}

TEST(PortsByHostName, MayBeAskedByPagesOfTheSameSandboxAlone) {
  Fixture f;
  auto sibling = preview_request();
  sibling.headers.set("Origin", "http://8080-" + kId + ".localhost:8000");
  EXPECT_EQ(f.send(std::move(sibling)).status, 200);
  auto elsewhere = preview_request();
  elsewhere.headers.set("Origin", "http://8080-" + kId + ".localhost:9999");
  EXPECT_EQ(f.send(std::move(elsewhere)).status, 403);
  auto other = preview_request();
  other.headers.set("Origin", "http://3000-a" + kId.substr(1) + ".localhost:8000");
  EXPECT_EQ(f.send(std::move(other)).status, 403);
}

std::string text_between(const std::string& text, const std::string& begin, const std::string& end) {
  const std::size_t at = text.find(begin) + begin.size();
  return text.substr(at, text.find(end, at) - at);
}

class PreviewUrls : public testing::Test {
 protected:
  PreviewUrls() { f.control.fake_ports.id = kId; }
  // Of port 3000.
  std::string token(std::string body = R"({"port":3000})") {
    return text_between(f.send("POST", "/v1/sandboxes/box/previews", std::move(body)).body, R"("token":")", "\"");
  }
  static http::Request stranger(std::string target, std::string host = kHost) {
    auto request = preview_request(std::move(target), std::move(host));
    request.peer.uid = kStranger;
    return request;
  }
  Fixture f;
};

TEST_F(PreviewUrls, LeadToThePortAtTheAddressThatWasAsked) {
  const auto response = f.send("POST", "/v1/sandboxes/box/previews", R"({"port":3000,"expires_in_s":60})");
  EXPECT_EQ(response.status, 201);
  EXPECT_THAT(response.body, HasSubstr(R"({"url":"http://)" + kHost + "/?lmsb_preview="));
  EXPECT_EQ(response.headers.find("Cache-Control"), "no-store");
  const std::string& noted = f.control.fake_ports.preview_noted;
  EXPECT_THAT(noted, HasSubstr(" " + f.control.fake_ports.id + " 3000 " +
                               text_between(response.body, R"("expires_at":")", "\"")));
  EXPECT_EQ(noted.find(text_between(response.body, R"("token":")", "\"")), std::string::npos) << noted;
  auto by_socket = local_request("POST", "/v1/sandboxes/box/previews", R"({"port":3000})");
  by_socket.headers.set("Host", "localhost");
  by_socket.peer.is_unix = true;
  EXPECT_THAT(f.send(by_socket).body, HasSubstr("no_preview_address"));
  f.app.set_listening_port(4711);
  EXPECT_THAT(f.send(by_socket).body, HasSubstr(".localhost:4711/?"));
}

TEST_F(PreviewUrls, BeginWithHttpsWhereThatIsSpoken) {
  auto by_tls = local_request("POST", "/v1/sandboxes/box/previews", R"({"port":3000})");
  by_tls.peer.is_tls = true;
  EXPECT_THAT(f.send(by_tls).body, HasSubstr(R"({"url":"https://)" + kHost + "/?lmsb_preview="));
  auto by_socket = local_request("POST", "/v1/sandboxes/box/previews", R"({"port":3000})");
  by_socket.headers.set("Host", "localhost");
  by_socket.peer.is_unix = true;
  f.app.set_listening_port(4711, true);
  EXPECT_THAT(f.send(by_socket).body, testing::ContainsRegex(R"("url":"https://3000-[a-z0-9]+\.localhost:4711/)"));
}

TEST_F(PreviewUrls, GiveCookiesThatOnlyHttpsCarriesWhereThatIsSpoken) {
  auto request = stranger("/x?lmsb_preview=" + token());
  request.headers.set("Sec-Fetch-Mode", "navigate");
  request.peer.is_tls = true;
  const auto response = f.send(std::move(request));
  EXPECT_THAT(std::string(*response.headers.find("Set-Cookie")), HasSubstr("; Secure"));
  EXPECT_FALSE(response.headers.find("Strict-Transport-Security"));
}

TEST_F(PreviewUrls, OpenThatPortToAnybody) {
  auto request = stranger("/x");
  request.headers.set("X-Preview-Token", token());
  EXPECT_EQ(f.send(std::move(request)).status, 200);
  EXPECT_TRUE(f.control.fake_ports.asker.name.starts_with("preview:"));
  EXPECT_EQ(f.control.fake_ports.named, kId);
  auto other = stranger("/x", "3001-" + kId + ".localhost:8000");
  other.headers.set("X-Preview-Token", token());
  EXPECT_EQ(f.send(std::move(other)).status, 403);
}

TEST_F(PreviewUrls, OpenNothingOnceTheKeyThatMadeThemIsGone) {
  FakeKeys& keys = f.control.fake_keys;
  keys.known["lmsb_made"] = control::Principal{"key:key_a", false};
  auto asking = local_request("POST", "/v1/sandboxes/box/previews", R"({"port":3000})");
  asking.headers.set("X-API-Key", "lmsb_made");
  const std::string made = text_between(f.send(std::move(asking)).body, R"("token":")", "\"");
  auto request = stranger("/x");
  request.headers.set("X-Preview-Token", made);
  request.on_behalf_of = std::make_shared<std::string>();
  EXPECT_EQ(f.send(request).status, 200);
  EXPECT_EQ(*request.on_behalf_of, "key:key_a") << "what it opens ends with the key";
  keys.known.clear();
  EXPECT_EQ(f.send(request).status, 403);
}

TEST_F(PreviewUrls, OpenNothingThatTheKeyWhichMadeThemSeesNoMore) {
  FakeKeys& keys = f.control.fake_keys;
  keys.known["lmsb_made"] = control::Principal{"key:key_a", false};
  auto asking = local_request("POST", "/v1/sandboxes/box/previews", R"({"port":3000})");
  asking.headers.set("X-API-Key", "lmsb_made");
  auto request = stranger("/x");
  request.headers.set("X-Preview-Token", text_between(f.send(std::move(asking)).body, R"("token":")", "\""));
  const int entries = keys.entries;
  EXPECT_EQ(f.send(request).status, 200);
  EXPECT_EQ(f.control.fake_ports.preview_asker.name, "key:key_a");
  EXPECT_EQ(keys.entries, entries + 1) << "it counts as a request of the key's";
  keys.entry_error = Error(ErrorCode::resource_exhausted, "too many").with_slug("rate_limited");
  EXPECT_EQ(f.send(request).status, 429);
  keys.entry_error.reset();
  f.control.fake_ports.error = Error(ErrorCode::not_found, "no sandbox").with_slug("sandbox_not_found");
  EXPECT_THAT(f.send(request).body, HasSubstr("preview_token_invalid"));
}

TEST_F(PreviewUrls, OpenNothingOfTheApi) {
  auto request = local_request("GET", "/v1/sandboxes/box/ports/3000/");
  request.peer.uid = kStranger;
  request.headers.set("X-Preview-Token", token());
  request.headers.set("Cookie", "lmsb_preview=" + token());
  EXPECT_EQ(f.send(std::move(request)).status, 401);
}

TEST_F(PreviewUrls, GiveBrowsersACookieAndAnAddressWithoutToken) {
  auto request = stranger("/x?a=1&lmsb_preview=" + token() + "&b=2");
  request.headers.set("Sec-Fetch-Mode", "navigate");
  const auto response = f.send(std::move(request));
  EXPECT_EQ(response.status, 303);
  EXPECT_EQ(response.headers.find("Location"), "/x?a=1&b=2");
  EXPECT_EQ(f.control.fake_ports.named, "");
  const std::string cookie(*response.headers.find("Set-Cookie"));
  EXPECT_THAT(cookie, HasSubstr("; Path=/; HttpOnly; SameSite=Lax; Max-Age=3600"));
  auto next = stranger("/x");
  next.headers.set("Cookie", "own=1; " + cookie.substr(0, cookie.find(';')));
  EXPECT_EQ(f.send(std::move(next)).status, 200);
  EXPECT_THAT(f.control.fake_ports.heard(), HasSubstr("Cookie: own=1\r\n"));
}

TEST_F(PreviewUrls, HideTheTokenHoweverItsNameIsWritten) {
  auto request = stranger("/x?lmsb%5Fpreview=" + token() + "&b=2");
  request.query["lmsb_preview"] = token();
  request.headers.set("Referer", "http://" + kHost + "/?lmsb_preview=" + token());
  EXPECT_EQ(f.send(std::move(request)).status, 200);
  const std::string heard = f.control.fake_ports.heard();
  EXPECT_THAT(heard, HasSubstr("GET /x?b=2 HTTP/1.1\r\n"));
  EXPECT_THAT(heard, HasSubstr("Referer: http://" + kHost + "/\r\n"));
}

TEST_F(PreviewUrls, SendNobodyToAnotherServer) {
  auto request = stranger("//evil.com/?lmsb_preview=" + token());
  request.headers.set("Sec-Fetch-Mode", "navigate");
  EXPECT_EQ(f.send(std::move(request)).headers.find("Location"), "/.//evil.com/");
}

TEST_F(PreviewUrls, LetProgramsInAtOnce) {
  EXPECT_EQ(f.send(stranger("/x?lmsb_preview=" + token() + "&b=2")).status, 200);
  EXPECT_THAT(f.control.fake_ports.heard(), HasSubstr("GET /x?b=2 HTTP/1.1\r\n"));
}

TEST(Tunnels, CarryOctetsOnceTheProtocolIsAgreed) {
  Fixture f;
  auto request = local_request("GET", "/v1/sandboxes/box/tunnel");
  request.query["port"] = "3000";
  const auto refused = f.send(request);
  EXPECT_EQ(refused.status, 426);
  EXPECT_EQ(refused.headers.find("Upgrade"), "tcp");
  request.headers.set("Connection", "Upgrade");
  request.headers.set("Upgrade", "tcp");
  const auto agreed = f.send(request);
  EXPECT_EQ(agreed.status, 101);
  EXPECT_TRUE(agreed.upgrade);
  request.query["port"] = "";
  EXPECT_EQ(f.send(request).status, 400);
}

}  // namespace
}  // namespace lmsb::server
