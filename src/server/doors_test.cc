#include "server/doors.h"

#include <gtest/gtest.h>

#include "base/text.h"
#include "server/authority.h"
#include "server/test_support.h"

namespace lmsb::server {
namespace {

int source_status(const http::Request& request, const DoorPolicy& policy = local_policy()) {
  const auto refusal = Doors(policy).check_source(request);
  return refusal ? refusal->status : 200;
}

http::Request with(std::string_view name, std::string value) {
  http::Request request = local_request("POST", "/run-bash/", "{}");
  request.headers.set(name, std::move(value));
  return request;
}

DoorPolicy with_key(DoorPolicy policy = local_policy()) {
  policy.keys = {ApiKey::from_secret("ci", Secret("secret")), ApiKey::from_secret("boss", Secret("master"), true)};
  return policy;
}

// Who comes in with these fields, "" when nobody does.
std::string entering(const DoorPolicy& policy, http::Request request) {
  const auto who = Doors(policy).authenticate(request);
  return who.ok() ? who->name + (who->admin ? " admin" : "") : "";
}

http::Request remote_request() {
  http::Request request = local_request("GET", "/v1/info");
  request.peer = http::Peer();
  request.peer.address = "192.0.2.7:1";
  return request;
}

// Rows of class AP-03: DNS rebinding.
TEST(Doors, AnswerOnlyForTheirOwnHosts) {
  for (const char* host :
       {"localhost", "LocalHost:8000", "127.0.0.1", "127.0.0.1:1", "127.9.9.9:80", "[::1]", "[::1]:8000"}) {
    EXPECT_EQ(source_status(with("Host", host)), 200) << host;
  }
  for (const char* host : {"",
                           "evil.com",
                           "127.0.0.1.evil.com",
                           "localhost.",
                           "localhost.evil.com",
                           "x.localhost",
                           "[::1%eth0]",
                           "[::2]",
                           "192.168.1.5",
                           "127.0.0.1:80:80",
                           "127.0.0.1:x",
                           "127.1",
                           "0x7f.0.0.1",
                           "2130706433",
                           "evil.com@127.0.0.1",
                           "127.0.0.1/",
                           "0.0.0.0",
                           "[::1]evil.com",
                           "::1",
                           "..",
                           "localhost localhost"}) {
    EXPECT_EQ(source_status(with("Host", host)), 421) << host;
  }
}

TEST(Doors, WantExactlyOneHost) {
  http::Request request = local_request("GET", "/");
  request.headers.add("Host", "127.0.0.1:8000");
  EXPECT_EQ(source_status(request), 421);
  request.headers = http::Headers();
  EXPECT_EQ(source_status(request), 421);
}

TEST(Doors, RefuseATargetThatNamesAnotherServer) {
  http::Request request = local_request("GET", "/");
  request.target = "http://evil.com/";
  EXPECT_EQ(source_status(request), 421);
  request.target = "http://127.0.0.1:8000.evil.com/";
  EXPECT_EQ(source_status(request), 421);
  request.target = "http://127.0.0.1:8000/healthz";
  EXPECT_EQ(source_status(request), 200);
}

TEST(Doors, AnswerForListedHostsAndTheListenersOwnAddress) {
  DoorPolicy policy = local_policy();
  policy.own_hosts = {"192.168.1.5", "2001:db8::1"};
  policy.allow_hosts = {"Sandbox.lan", "tight.lan:8443"};
  for (const char* host :
       {"192.168.1.5:8000", "[2001:db8::1]:8000", "sandbox.lan", "SANDBOX.lan:1", "tight.lan:8443"}) {
    EXPECT_EQ(source_status(with("Host", host), policy), 200) << host;
  }
  for (const char* host : {"192.168.1.6", "tight.lan", "tight.lan:1", "sub.sandbox.lan"}) {
    EXPECT_EQ(source_status(with("Host", host), policy), 421) << host;
  }
}

TEST(Doors, AnswerForAnyAddressButNoNameWhenListeningOnAll) {
  DoorPolicy policy = local_policy();
  policy.own_hosts = {"0.0.0.0"};
  EXPECT_EQ(source_status(with("Host", "10.1.2.3:8000"), policy), 200);
  EXPECT_EQ(source_status(with("Host", "evil.com"), policy), 421);
}

// Rows of class AP-04: pages of other sites.
TEST(Doors, RefuseForeignOrigins) {
  for (const char* origin : {"http://127.0.0.1:8000", "https://127.0.0.1:8000"}) {
    EXPECT_EQ(source_status(with("Origin", origin)), 200) << origin;
  }
  for (const char* origin :
       {"null", "", "http://evil.com", "http://127.0.0.1", "http://127.0.0.1:8001", "http://localhost:8000",
        "http://127.0.0.1:8000.evil.com", "http://8000-abc.localhost:8000", "file://", "http://127.0.0.1:8000/",
        "chrome-extension://abc"}) {
    EXPECT_EQ(source_status(with("Origin", origin)), 403) << origin;
  }
}

TEST(Doors, RefuseTwoOrigins) {
  http::Request request = with("Origin", "http://127.0.0.1:8000");
  request.headers.add("Origin", "http://127.0.0.1:8000");
  EXPECT_EQ(source_status(request), 403);
}

TEST(Doors, LetListedOriginsInButNeverNull) {
  DoorPolicy policy = local_policy();
  policy.allow_origins = {"https://Console.lan", "null"};
  EXPECT_EQ(source_status(with("Origin", "https://console.lan"), policy), 200);
  EXPECT_EQ(source_status(with("Origin", "http://console.lan"), policy), 403);
  EXPECT_EQ(source_status(with("Origin", "null"), policy), 403);
}

TEST(Doors, RefuseCrossSiteFetchesWithoutOrigin) {
  for (const char* site : {"cross-site", "same-site", "nonsense"})
    EXPECT_EQ(source_status(with("Sec-Fetch-Site", site)), 403) << site;
  for (const char* site : {"same-origin", "none"}) EXPECT_EQ(source_status(with("Sec-Fetch-Site", site)), 200) << site;
}

TEST(Doors, LetALinkToAPageBeFollowedButNotAFrame) {
  http::Request request = local_request("GET", "/docs");
  request.headers.set("Sec-Fetch-Site", "cross-site");
  request.headers.set("Sec-Fetch-Mode", "navigate");
  request.headers.set("Sec-Fetch-Dest", "document");
  EXPECT_EQ(source_status(request), 200);
  request.headers.set("Sec-Fetch-Dest", "iframe");
  EXPECT_EQ(source_status(request), 403);
  request.headers.set("Sec-Fetch-Dest", "document");
  request.method = "POST";
  EXPECT_EQ(source_status(request), 403);
}

TEST(Doors, WantBodiesDeclaredAsJson) {
  const Doors doors(local_policy());
  for (const char* type :
       {"application/json", "Application/JSON", "application/json; charset=utf-8", " application/json ;x=y"}) {
    EXPECT_FALSE(doors.check_body(with("Content-Type", type))) << type;
  }
  for (const char* type : {"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data",
                           "application/jsonx", "text/plain; application/json", "application/json, text/plain"}) {
    const auto refusal = doors.check_body(with("Content-Type", type));
    ASSERT_TRUE(refusal) << type;
    EXPECT_EQ(refusal->status, 415);
    EXPECT_NE(refusal->error.hint().find("Content-Type: application/json"), std::string::npos);
  }
  EXPECT_FALSE(doors.check_body(local_request("POST", "/run-bash/")));
}

TEST(Doors, WantOneContentTypeAndNoCompression) {
  const Doors doors(local_policy());
  http::Request twice = local_request("POST", "/v1/run", "{}");
  twice.headers.add("Content-Type", "text/plain");
  EXPECT_TRUE(doors.check_body(twice));
  EXPECT_TRUE(doors.check_body(with("Content-Encoding", "gzip")));
  EXPECT_FALSE(doors.check_body(with("Content-Encoding", "identity")));
}

// Rows of class AP-01: who may come in.
TEST(Doors, LetOnlyKnownUsersOfThisMachineInWithoutAKey) {
  http::Request request = local_request("GET", "/v1/info");
  EXPECT_EQ(entering(local_policy(), request), "local:1000");
  request.peer.uid = kRoot;
  EXPECT_EQ(entering(local_policy(), request), "local:0 admin");
  request.peer.uid = kStranger;
  EXPECT_EQ(entering(local_policy(), request), "");
  request.peer.uid.reset();
  EXPECT_EQ(entering(local_policy(), request), "");
  request.peer = http::Peer();
  request.peer.is_unix = true;
  request.peer.uid = kMember;
  EXPECT_EQ(entering(local_policy(), request), "local:1000");
}

TEST(Doors, LetNobodyInWithoutAKeyWhereOneIsRequired) {
  DoorPolicy policy = with_key();
  policy.auth_required = true;
  EXPECT_EQ(entering(policy, local_request("GET", "/v1/info")), "");
  policy.local_access = nullptr;
  policy.auth_required = false;
  EXPECT_EQ(entering(policy, local_request("GET", "/v1/info")), "");
}

TEST(Doors, DoNotTakeAnAddressOrAProxyForALocalUser) {
  http::Request request = remote_request();
  request.peer.uid = kRoot;
  EXPECT_EQ(entering(local_policy(), request), "");
  request.peer.is_loopback = true;  // to an address that is not loopback
  EXPECT_EQ(entering(local_policy(), request), "");
  request = local_request("GET", "/v1/info");
  request.headers.set("X-Forwarded-For", "192.0.2.7");
  EXPECT_EQ(entering(local_policy(), request), "");
}

TEST(Doors, LetAKeyInFromAnywhere) {
  struct Row {
    const char* name;
    const char* value;
    const char* who;
  };
  for (const Row& row :
       {Row{"Authorization", "Bearer secret", "key:ci"}, Row{"authorization", "bearer  secret ", "key:ci"},
        Row{"X-API-Key", "secret", "key:ci"}, Row{"X-API-Key", "master", "key:boss admin"},
        Row{"Authorization", "secret", ""}, Row{"Authorization", "Basic secret", ""},
        Row{"Authorization", "Bearer", ""}, Row{"Authorization", "Bearer ", ""}, Row{"Authorization", "", ""},
        Row{"Authorization", "Bearer Secret", ""}, Row{"Authorization", "Bearer secret2", ""},
        Row{"Authorization", "Bearer secret,Bearer secret", ""}, Row{"X-API-Key", "", ""},
        Row{"X-Access-Token", "secret", ""}, Row{"Cookie", "key=secret", ""}}) {
    http::Request request = remote_request();
    request.headers.set(row.name, row.value);
    EXPECT_EQ(entering(with_key(), request), row.who) << row.name << ": " << row.value;
  }
}

TEST(Doors, RefuseTwoKeysAtOnce) {
  http::Request request = remote_request();
  request.headers.set("Authorization", "Bearer secret");
  request.headers.set("X-API-Key", "master");
  EXPECT_EQ(entering(with_key(), request), "");
}

TEST(Doors, LetInByAKeyThatWasMade) {
  FakeKeys keys;
  keys.known["lmsb_made"] = control::Principal{"key:key_a", false};
  const Doors doors(with_key(), &keys);
  http::Request request = remote_request();
  request.headers.set("Authorization", "Bearer lmsb_made");
  EXPECT_EQ(doors.authenticate(request)->name, "key:key_a");
  EXPECT_EQ(keys.entries, 1) << "counted once";
  request.headers.add("Authorization", "Bearer lmsb_made");
  EXPECT_EQ(doors.authenticate(request).error().slug(), "key_unknown") << "two of them";
  request = remote_request();
  request.headers.set("Authorization", "Bearer lmsb_made, Bearer lmsb_made");
  EXPECT_FALSE(doors.authenticate(request).ok());
  for (const char* name : {"Cookie", "X-Access-Token", "Proxy-Authorization", "X-Auth", "Referer"}) {
    request = remote_request();
    request.headers.set(name, "lmsb_made");
    EXPECT_EQ(doors.authenticate(request).error().slug(), "key_required") << name;
  }
  request = remote_request();
  for (const char* name : {"key", "api_key", "X-API-Key", "Authorization", "access_token", "token"})
    request.query[name] = "lmsb_made";
  request.target = "/v1/info?api_key=lmsb_made";
  EXPECT_EQ(doors.authenticate(request).error().slug(), "key_required") << "never in a URL: those are written down";
  EXPECT_EQ(keys.entries, 1);
}

// Else whoever is at the machine would get round what the key that he uses is held to.
TEST(Doors, DoNotTakeAKeyThatHasToWaitForNone) {
  FakeKeys keys;
  keys.known["lmsb_made"] = control::Principal{"key:key_a", false};
  const Doors doors(local_policy(), &keys);
  http::Request request = local_request("GET", "/v1/info");
  request.headers.set("X-API-Key", "lmsb_made");
  keys.entry_error = Error(ErrorCode::resource_exhausted, "too many").with_slug("rate_limited");
  EXPECT_EQ(doors.authenticate(request).error().slug(), "rate_limited");
  keys.entry_error = Error(ErrorCode::unauthenticated, "expired").with_slug("key_expired");
  EXPECT_EQ(doors.authenticate(request).error().slug(), "key_expired");
  request.peer.uid = kStranger;
  EXPECT_EQ(doors.authenticate(request).error().slug(), "key_expired");
}

// Who comes with a key that is gone would be an administrator where he asks from the machine itself.
TEST(Doors, MakeNobodyOfThisMachineOfWhoSendsAKeyThatIsGone) {
  FakeKeys keys;
  const Doors doors(local_policy(), &keys);
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"X-API-Key", "lmsb_gone"},
                                                        {"Authorization", "Bearer lmsb_gone"},
                                                        {"authorization", "bearer  lmsb_gone "}}) {
    http::Request request = local_request("GET", "/v1/info");
    request.headers.set(name, value);
    EXPECT_EQ(doors.authenticate(request).error().slug(), "key_unknown") << name;
    request.headers.add("X-API-Key", "sk-anything");
    EXPECT_EQ(doors.authenticate(request).error().slug(), "key_unknown") << "nor of two: " << name;
  }
  for (const char* value : {"sk-anything", "lmsb", "Token e2b_gone"}) {
    http::Request request = local_request("GET", "/v1/info");
    request.headers.set("Authorization", value);
    EXPECT_EQ(doors.authenticate(request)->name, "local:1000") << value << " is no key at all";
  }
}

TEST(Doors, MakeNobodyOfThisMachineOfWhoSendsAKeyInAnotherForm) {
  FakeKeys keys;
  keys.known["lmsb_made"] = control::Principal{"key:key_a", false};
  const Doors doors(local_policy(), &keys);
  for (const std::string& key : {std::string("lmsb_gone"), std::string("lmsb_made")})
    for (const auto& [name, value] :
         std::vector<std::pair<std::string, std::string>>{{"Authorization", key},
                                                          {"Authorization", "Token " + key},
                                                          {"Authorization", "Token token=\"" + key + "\""},
                                                          {"Authorization", "Basic " + key},
                                                          {"authorization", "Basic " + base64_encode("user:" + key)},
                                                          {"Authorization", "Basic " + base64_encode(key + ":")},
                                                          {"X-API-Key", "Bearer " + key},
                                                          {"x-api-key", base64_encode(key)}}) {
      http::Request request = local_request("GET", "/v1/info");
      request.headers.set(name, value);
      EXPECT_EQ(doors.authenticate(request).error().slug(), "key_unknown") << name << ": " << value;
    }
}

TEST(Doors, LetInAsAKeyWhoHasATokenOfIt) {
  FakeKeys keys;
  keys.known["lmsb_made"] = control::Principal{"key:key_a", false};
  const Doors doors(with_key(), &keys);
  EXPECT_EQ(doors.enter_as("key:key_a")->name, "key:key_a");
  EXPECT_EQ(doors.enter_as("key:ci")->name, "key:ci");
  for (const char* gone : {"key:key_b", "local:0", ""}) EXPECT_EQ(doors.enter_as(gone).error().slug(), "key_unknown");
}

TEST(Doors, KnowWhoseKeyIsGone) {
  FakeKeys keys;
  keys.known["lmsb_made"] = control::Principal{"key:key_a", false};
  const Doors doors(with_key(), &keys);
  for (const char* principal : {"key:key_a", "key:ci", "local:0", "run-bash"}) EXPECT_TRUE(doors.is_valid(principal));
  for (const char* principal : {"key:key_b", "key:", "key:c"}) EXPECT_FALSE(doors.is_valid(principal));
  EXPECT_EQ(doors.principals_not_of(Doors(local_policy(), &keys)), (std::vector<std::string>{"key:ci", "key:boss"}));
  EXPECT_TRUE(doors.principals_not_of(doors).empty());
}

TEST(Doors, IgnoreAKeyThatIsNotNeeded) {
  http::Request request = local_request("GET", "/v1/info");
  request.headers.set("Authorization", "Bearer sk-anything");
  EXPECT_EQ(entering(with_key(), request), "local:1000");
}

TEST(Doors, SayWhatToDoWhenTheyStayShut) {
  const auto refused = Doors(local_policy()).authenticate(remote_request());
  EXPECT_EQ(refused.error().slug(), "key_required");
  EXPECT_NE(refused.error().hint().find("Authorization: Bearer"), std::string::npos);
  http::Request request = local_request("GET", "/v1/info");
  request.peer.uid = kStranger;
  EXPECT_NE(Doors(local_policy()).authenticate(request).error().hint().find("group"), std::string::npos);
}

TEST(Doors, TellAUserOfThisMachineWhichGroupToJoinAndNobodyElse) {
  DoorPolicy policy = local_policy();
  policy.local_help = "sudo usermod -aG helpers $USER";
  http::Request request = local_request("GET", "/v1/info");
  request.peer.uid = kStranger;
  const auto hint = [&request](const DoorPolicy& doors) { return Doors(doors).authenticate(request).error().hint(); };
  EXPECT_NE(hint(policy).find("usermod -aG helpers"), std::string::npos);
  policy.auth_required = true;  // then no group helps
  EXPECT_EQ(hint(policy).find("usermod"), std::string::npos);
  policy.auth_required = false;
  request = remote_request();
  EXPECT_EQ(hint(policy).find("usermod"), std::string::npos);
}

TEST(Doors, SayWhyAUserOfThisMachineIsAStrangerWhereTheKernelTellsNoUser) {
  http::Request request = local_request("GET", "/v1/info");
  request.peer.uid.reset();
  EXPECT_NE(Doors(local_policy()).authenticate(request).error().hint().find("tcp_diag"), std::string::npos);
  request.peer.uid = kStranger;
  EXPECT_EQ(Doors(local_policy()).authenticate(request).error().hint().find("tcp_diag"), std::string::npos);
  EXPECT_EQ(Doors(local_policy()).authenticate(remote_request()).error().hint().find("tcp_diag"), std::string::npos);
}

TEST(Doors, TakeABodyThatIsReadAsItComesOnlyAsNoFormCanSendIt) {
  const Doors doors(local_policy());
  struct Row {
    const char* method;
    const char* type;  // nullptr: none
    bool taken;
  };
  for (const Row& row :
       {Row{"POST", "application/octet-stream", true}, Row{"POST", "Application/X-Tar", true},
        Row{"POST", "application/vnd.oci.image.layer.v1.tar+gzip; x=y", true}, Row{"POST", nullptr, false},
        Row{"POST", "", false}, Row{"POST", "text/plain", false}, Row{"POST", "multipart/form-data; boundary=x", false},
        Row{"POST", "application/x-www-form-urlencoded", false},
        Row{"POST", " application/x-www-form-urlencoded ;charset=utf-8", false}, Row{"POST", "application/", false},
        Row{"POST", "application/x, text/plain", false}, Row{"POST", "image/png", false}, Row{"PUT", nullptr, true},
        Row{"PUT", "text/plain", true}, Row{"PATCH", "application/x-www-form-urlencoded", true}}) {
    http::Request request = local_request(row.method, "/v1/x");
    request.headers.set("Transfer-Encoding", "chunked");
    if (row.type != nullptr) request.headers.set("Content-Type", row.type);
    const auto refusal = doors.check_streamed_body(request);
    EXPECT_EQ(!refusal, row.taken) << row.method << " " << (row.type != nullptr ? row.type : "none");
    EXPECT_EQ(refusal ? refusal->status : 415, 415);
  }
}

TEST(Doors, AskForNoKindWhereNoBodyIsStreamed) {
  const Doors doors(local_policy());
  http::Request request = local_request("POST", "/v1/x");
  EXPECT_FALSE(doors.check_streamed_body(request));
  request.headers.set("Content-Length", "0");
  EXPECT_FALSE(doors.check_streamed_body(request));
  request.headers.set("Content-Length", "1");
  EXPECT_TRUE(doors.check_streamed_body(request));
}

TEST(Doors, RefuseTwoKindsOfAStreamedBodyAndACompressedOne) {
  const Doors doors(local_policy());
  http::Request request = local_request("POST", "/v1/x");
  request.headers.set("Content-Length", "1");
  request.headers.add("Content-Type", "application/octet-stream");
  EXPECT_FALSE(doors.check_streamed_body(request));
  request.headers.add("Content-Type", "text/plain");
  EXPECT_TRUE(doors.check_streamed_body(request));
  request = local_request("PUT", "/v1/x");
  request.headers.set("Content-Encoding", "gzip");
  EXPECT_EQ(doors.check_streamed_body(request)->status, 415);
}

TEST(Digest, ReadsWhatItIsGivenInHexadecimal) {
  constexpr std::string_view kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852B855";
  ASSERT_TRUE(parse_sha256(kEmpty));
  EXPECT_TRUE(equal_in_constant_time(*parse_sha256(kEmpty), sha256("")));
  EXPECT_FALSE(equal_in_constant_time(*parse_sha256(kEmpty), sha256("x")));
  EXPECT_FALSE(parse_sha256("e3"));
  EXPECT_FALSE(parse_sha256(std::string(64, 'g')));
  EXPECT_EQ(to_hex(sha256("x")), "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881");
}

TEST(Doors, PassOnNoAuthorizationThatHoldsAKeyThatWasMade) {
  FakeKeys keys;
  keys.known["lmsb_made"] = control::Principal{"key:key_a", false};
  const Doors doors(local_policy(), &keys);
  for (const std::string& value : {std::string("Bearer lmsb_made"), "Basic " + base64_encode("x:lmsb_made")}) {
    http::Headers headers;
    headers.set("Authorization", value);
    EXPECT_FALSE(doors.may_pass_on_authorization(headers)) << value;
  }
}

TEST(Doors, PassOnNoAuthorizationThatHoldsAKey) {
  DoorPolicy policy = local_policy();
  policy.keys = {ApiKey::from_secret("one", Secret("k-1"), false), ApiKey::from_secret("two", Secret("a:b c"), false)};
  const Doors doors(policy);
  const auto passes = [&doors](std::initializer_list<http::Headers::Field> fields) {
    http::Headers headers;
    for (const auto& [name, value] : fields) headers.add(name, value);
    return doors.may_pass_on_authorization(headers);
  };
  for (const std::string& value :
       {std::string("Bearer k-1"), std::string("Bearer\tk-1"), std::string("k-1"), std::string("bearer  k-1 "),
        std::string("Token token=\"k-1\", x=y"), std::string("Bearer a:b c"), std::string("a:b c"),
        std::string("x k-1 y"), "Basic " + base64_encode("x:k-1"), "Basic " + base64_encode("k-1:"),
        "basic\t" + base64_encode("x:a:b c"), std::string("Basic eDprLTE"), "Bearer " + base64_encode("k-1")})
    EXPECT_FALSE(passes({{"Authorization", value}})) << value;
  EXPECT_FALSE(passes({{"Authorization", "Basic x"}, {"authorization", "Basic y"}}));
  EXPECT_FALSE(passes({{"Authorization", "Basic x"}, {"X-API-Key", ""}}));
  EXPECT_FALSE(passes({{"Authorization", std::string(3000, ',')}}));
  for (const std::string& value : {std::string("Bearer k-12"), "Basic " + base64_encode("x:y"), std::string(),
                                   std::string(20000, 'x'), std::string("Digest username=\"a\", realm=\"b c\"")})
    EXPECT_TRUE(passes({{"Authorization", value}})) << value;
}

}  // namespace
}  // namespace lmsb::server
