// What each route needs of a key: every route of the table, by every scope, through the Guard that stands before
// control.
#include <map>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/guard.h"
#include "http/body.h"
#include "server/test_support.h"

namespace lmsb::server {
namespace {

using control::Operation;
using testing::HasSubstr;

struct Needs {
  std::string route;  // method and pattern
  std::optional<Operation> operation;
  std::string body;
  std::map<std::string, std::string> query;
};

constexpr auto kNothing = std::nullopt;
constexpr auto kRead = Operation::read;
constexpr auto kWrite = Operation::write;
constexpr auto kModels = Operation::models;
constexpr auto kAdmin = Operation::admin;

const std::map<std::string, std::string> kPath = {{"path", "/a"}};

const std::vector<Needs> kTable = {
    {"GET /", kNothing, "", {}},
    {"GET /docs", kNothing, "", {}},
    {"GET /openapi.json", kNothing, "", {}},
    {"GET /healthz", kNothing, "", {}},
    {"GET /readyz", kNothing, "", {}},
    {"GET /metrics", kNothing, "", {}},
    {"GET /v1/info", kNothing, "", {}},
    {"GET /v1/images", kNothing, "", {}},
    {"GET /v1/models", kNothing, "", {}},
    {"GET /v1/models/{id}", kNothing, "", {}},
    {"GET /v1/models/{id}/details", kNothing, "", {}},
    {"DELETE /v1/models/{id}", kAdmin, "", {}},
    {"POST /run-bash/", kWrite, R"({"cmd":"x"})", {}},
    {"POST /llama-cpp/", kModels, R"({"cmd":"x"})", {}},
    {"POST /ollama/", kModels, R"({"cmd":"x"})", {}},
    {"POST /v1/chat/completions", kModels, R"({"messages":[{"role":"user","content":"x"}]})", {}},
    {"POST /v1/completions", kModels, R"({"prompt":"x"})", {}},
    {"POST /v1/embeddings", kModels, R"({"input":"x"})", {}},
    {"POST /v1/responses", kModels, R"({"input":"x"})", {}},
    {"POST /v1/messages", kModels, R"({"messages":[{"role":"user","content":"x"}]})", {}},
    {"POST /v1/messages/count_tokens", kModels, R"({"messages":[{"role":"user","content":"x"}]})", {}},
    {"GET /api/version", kNothing, "", {}},
    {"GET /api/tags", kNothing, "", {}},
    {"GET /api/ps", kNothing, "", {}},
    {"POST /api/show", kNothing, R"({"model":"tiny"})", {}},
    {"POST /api/chat", kModels, R"({"messages":[{"role":"user","content":"x"}]})", {}},
    {"POST /api/generate", kModels, R"({"prompt":"x"})", {}},
    {"POST /api/embed", kModels, R"({"input":"x"})", {}},
    {"POST /api/embeddings", kModels, R"({"prompt":"x"})", {}},
    {"POST /v1/responses/input_tokens", kModels, R"({"input":"x"})", {}},
    {"POST /v1/models/{id}/load", kModels, "", {}},
    {"POST /v1/models/{id}/unload", kModels, "", {}},
    {"POST /v1/models/pull", kAdmin, R"({"source":"/a"})", {}},
    {"POST /api/pull", kAdmin, R"({"model":"a"})", {}},
    {"DELETE /api/delete", kAdmin, R"({"model":"a"})", {}},
    {"GET /v1/ledger", kAdmin, "", {}},
    {"POST /v1/keys", kAdmin, "{}", {}},
    {"GET /v1/keys", kAdmin, "", {}},
    {"DELETE /v1/keys/{id}", kAdmin, "", {}},
    {"POST /v1/run", kWrite, R"({"cmd":"x"})", {}},
    {"POST /v1/sandboxes", kWrite, "{}", {}},
    {"GET /v1/sandboxes", kRead, "", {}},
    {"GET /v1/sandboxes/{id}", kRead, "", {}},
    {"PATCH /v1/sandboxes/{id}", kWrite, "{}", {}},
    {"DELETE /v1/sandboxes/{id}", kWrite, "", {}},
    {"POST /v1/sandboxes/{id}/pause", kWrite, "", {}},
    {"POST /v1/sandboxes/{id}/resume", kWrite, "", {}},
    {"POST /v1/sandboxes/{id}/stop", kWrite, "", {}},
    {"POST /v1/sandboxes/{id}/start", kWrite, "", {}},
    {"POST /v1/sandboxes/{id}/snapshot", kWrite, "", {}},
    {"POST /v1/sandboxes/{id}/fork", kWrite, "", {}},
    {"POST /v1/sandboxes/{id}/rollback", kWrite, R"({"snapshot":"snp_a"})", {}},
    {"GET /v1/sandboxes/{id}/stats", kRead, "", {}},
    {"GET /v1/sandboxes/{id}/egress", kRead, "", {}},
    {"GET /v1/events", kRead, "", {}},
    {"GET /v1/snapshots", kRead, "", {}},
    {"GET /v1/snapshots/{id}", kRead, "", {}},
    {"DELETE /v1/snapshots/{id}", kWrite, "", {}},
    {"GET /v1/snapshots/{id}/export", kRead, "", {}},
    {"POST /v1/snapshots/import", kWrite, "x", {}},
    {"POST /v1/volumes", kWrite, "{}", {}},
    {"GET /v1/volumes", kRead, "", {}},
    {"GET /v1/volumes/{id}", kRead, "", {}},
    {"PATCH /v1/volumes/{id}", kWrite, "{}", {}},
    {"DELETE /v1/volumes/{id}", kWrite, "", {}},
    {"POST /v1/sandboxes/{id}/exec", kWrite, R"({"cmd":"x"})", {}},
    {"GET /v1/sandboxes/{id}/sessions", kRead, "", {}},
    {"GET /v1/sandboxes/{id}/sessions/{session}", kRead, "", {}},
    {"DELETE /v1/sandboxes/{id}/sessions/{session}", kWrite, "", {}},
    {"GET /v1/sandboxes/{id}/processes", kRead, "", {}},
    {"GET /v1/sandboxes/{id}/processes/{process}", kRead, "", {}},
    {"DELETE /v1/sandboxes/{id}/processes/{process}", kWrite, "", {}},
    {"POST /v1/sandboxes/{id}/processes/{process}/stdin", kWrite, R"({"data":"x"})", {}},
    {"POST /v1/sandboxes/{id}/processes/{process}/signal", kWrite, R"({"signal":"TERM"})", {}},
    {"POST /v1/sandboxes/{id}/processes/{process}/resize", kWrite, R"({"pty":{"cols":80,"rows":24}})", {}},
    {"GET /v1/sandboxes/{id}/processes/{process}/output", kRead, "", {}},
    {"GET /v1/sandboxes/{id}/logs", kRead, "", {}},
    {"GET /v1/sandboxes/{id}/pty", kWrite, "", {}},
    {"GET /v1/sandboxes/{id}/files", kRead, "", kPath},
    {"HEAD /v1/sandboxes/{id}/files", kRead, "", kPath},
    {"PUT /v1/sandboxes/{id}/files", kWrite, "x", kPath},
    {"DELETE /v1/sandboxes/{id}/files", kWrite, "", kPath},
    {"GET /v1/sandboxes/{id}/files/list", kRead, "", kPath},
    {"GET /v1/sandboxes/{id}/files/stat", kRead, "", kPath},
    {"GET /v1/sandboxes/{id}/files/watch", kRead, "", kPath},
    {"POST /v1/sandboxes/{id}/files/mkdir", kWrite, R"({"path":"/a"})", {}},
    {"POST /v1/sandboxes/{id}/files/move", kWrite, R"({"path":"/a","to":"/b"})", {}},
    {"POST /v1/sandboxes/{id}/files/copy", kWrite, R"({"path":"/a","to":"/b"})", {}},
    {"POST /v1/sandboxes/{id}/files/chmod", kWrite, R"({"path":"/a","mode":"644"})", {}},
    {"POST /v1/sandboxes/{id}/files/glob", kRead, R"({"path":"/a","pattern":"*"})", {}},
    {"POST /v1/sandboxes/{id}/files/grep", kRead, R"({"path":"/a","pattern":"x"})", {}},
    {"POST /v1/sandboxes/{id}/files/replace", kWrite, R"({"path":"/a","old":"x","new":"y"})", {}},
    {"GET /v1/sandboxes/{id}/archive", kRead, "", kPath},
    {"PUT /v1/sandboxes/{id}/archive", kWrite, "x", kPath},
    {"GET /v1/sandboxes/{id}/ports", kRead, "", {}},
    {"GET /v1/sandboxes/{id}/ports/{port}/{path...}", kWrite, "", {}},
    {"POST /v1/sandboxes/{id}/ports/{port}/{path...}", kWrite, "", {}},
    {"PUT /v1/sandboxes/{id}/ports/{port}/{path...}", kWrite, "", {}},
    {"PATCH /v1/sandboxes/{id}/ports/{port}/{path...}", kWrite, "", {}},
    {"DELETE /v1/sandboxes/{id}/ports/{port}/{path...}", kWrite, "", {}},
    {"OPTIONS /v1/sandboxes/{id}/ports/{port}/{path...}", kWrite, "", {}},
    {"POST /v1/sandboxes/{id}/previews", kWrite, R"({"port":80})", {}},
    {"GET /v1/sandboxes/{id}/tunnel", kWrite, "", {{"port", "80"}}},
};

// A key of each scope, and one that may all but what is an administrator's.
struct Keyring {
  Keyring() {
    add("read", {true, false, false, {}});
    add("write", {false, true, false, {}});
    add("models", {false, false, true, {}});
    add("all", {true, true, true, {}});
    add("part", {true, true, true, {{"team", "a"}}}, true);
    for (const auto& [key, who] : control.fake_keys.known) keys.push_back(key);
  }
  void add(const std::string& name, control::Grant grant, bool admin = false) {
    control.fake_keys.known["lmsb_" + name] =
        control::Principal{"key:" + name, admin, std::make_shared<const control::Grant>(std::move(grant))};
  }
  http::Response send(const Needs& needs, const std::string& key) {
    const std::size_t space = needs.route.find(' ');
    http::Request request = local_request(needs.route.substr(0, space), path_of(needs.route.substr(space + 1)));
    request.peer.uid = kRoot;  // who sends a key is who the key says, whoever he is beside that
    request.headers.set("X-API-Key", key);
    request.query = needs.query;
    request.body = needs.body;
    if (!needs.body.empty())
      request.headers.set("Content-Type", needs.body == "x" ? "application/octet-stream" : "application/json");
    if (request.path.ends_with("/pty")) {
      request.headers.set("Connection", "Upgrade");
      request.headers.set("Upgrade", "websocket");
      request.headers.set("Sec-WebSocket-Version", "13");
      request.headers.set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    }
    if (request.path.ends_with("/tunnel")) {
      request.headers.set("Connection", "Upgrade");
      request.headers.set("Upgrade", "tcp");
    }
    return io::run_blocking(app.serve()(std::move(request)));
  }
  static std::string path_of(std::string pattern) {
    for (const auto& [name, value] : std::map<std::string, std::string>{{"{id}", "s0000000000000000000"},
                                                                        {"{port}", "80"},
                                                                        {"{path...}", "x"},
                                                                        {"{process}", "prc_a"},
                                                                        {"{session}", "s"}}) {
      const std::size_t at = pattern.find(name);
      if (at != std::string::npos) pattern.replace(at, name.size(), value);
    }
    return pattern;
  }

  FakeControl control;
  control::Guard guard{control};
  Metrics metrics;
  Logger log{LogLevel::error, LogFormat::text};
  App app{guard, metrics, log, Fixture::options_of(local_policy(), "")};
  std::vector<std::string> keys;
};

bool is_let_through(const std::string& key, std::optional<Operation> needs) {
  if (!needs) return true;
  if (*needs == Operation::admin) return false;
  if (key == "lmsb_all" || key == "lmsb_part") return true;
  if (*needs == Operation::models) return key == "lmsb_models";
  if (*needs == Operation::write) return key == "lmsb_write";
  return key == "lmsb_read" || key == "lmsb_write";
}

TEST(Scopes, OfEveryRouteAreInTheTable) {
  std::set<std::string> listed;
  for (const Needs& needs : kTable) listed.insert(needs.route);
  std::set<std::string> served;
  const Fixture fixture;
  for (const RouteRow& row : fixture.app.routes().rows())
    if (!row.is_alias) served.insert(row.method + " " + row.pattern);
  EXPECT_EQ(listed, served);
}

TEST(Scopes, LetThroughWhatTheySayAndRefuseTheRest) {
  Keyring ring;
  for (const Needs& needs : kTable) {
    if (needs.operation == Operation::admin) continue;
    for (const std::string& key : ring.keys) {
      const auto answer = ring.send(needs, key);
      if (is_let_through(key, needs.operation)) {
        EXPECT_NE(answer.status, 403) << needs.route << " by " << key << ": " << answer.body;
        EXPECT_NE(answer.status, 400) << "what the table sends is not read: " << needs.route << answer.body;
      } else {
        EXPECT_EQ(answer.status, 403) << needs.route << " by " << key;
        EXPECT_THAT(answer.body, HasSubstr("this key has not the scope")) << needs.route;
      }
    }
  }
}

// The keys themselves ask again (control/keys_test.cc); the fake ones here do not.
TEST(Scopes, OfAPartOrLessAreNoAdministrators) {
  Keyring ring;
  for (const Needs& needs : kTable) {
    if (needs.operation != Operation::admin || needs.route.find("/v1/keys") != std::string::npos) continue;
    for (const std::string& key : ring.keys) EXPECT_EQ(ring.send(needs, key).status, 403) << needs.route << key;
  }
}

TEST(Scopes, OfTheSharedSandboxAreTheCallers) {
  FakeControl control;
  control::Guard guard{control};
  Metrics metrics;
  Logger log{LogLevel::error, LogFormat::text};
  App app{guard, metrics, log, Fixture::options_of(local_policy(), "shared")};
  auto grant = std::make_shared<control::Grant>();
  grant->may_read = true;
  control.fake_keys.known["lmsb_read"] = control::Principal{"key:read", false, grant};
  auto request = local_request("POST", "/run-bash/", R"({"cmd":"x"})");
  request.headers.set("X-API-Key", "lmsb_read");
  EXPECT_EQ(io::run_blocking(app.serve()(request)).status, 403);
  EXPECT_EQ(control.named, "shared") << "it may look";
  EXPECT_EQ(std::get<std::string>(control.command.cmd), "") << "but run nothing";
}

TEST(Scopes, OfASandboxWithModelsAreThoseOfItAndOfThem) {
  for (const char* route : {"POST /v1/sandboxes", "POST /v1/run"}) {
    Keyring ring;
    const Needs needs{route, {}, R"({"models":["tiny"])" + std::string(route[9] == 'r' ? R"(,"cmd":"x"})" : "}"), {}};
    for (const std::string& key : ring.keys) {
      const auto answer = ring.send(needs, key);
      if (key == "lmsb_all" || key == "lmsb_part") {
        EXPECT_NE(answer.status, 403) << route << key << answer.body;
      } else {
        EXPECT_EQ(answer.status, 403) << route << " by " << key;
        EXPECT_THAT(answer.body, HasSubstr("scope_missing"));
      }
    }
    EXPECT_EQ(ring.control.creation.models.names.size() + ring.control.one_shot.models.names.size(), 1U);
  }
}

TEST(Labels, OfAKeyAreOnAllThatItMakes) {
  Keyring ring;
  ring.send({"POST /v1/sandboxes", {}, R"({"labels":{"x":"1"}})", {}}, "lmsb_part");
  EXPECT_EQ(ring.control.creation.labels, (std::map<std::string, std::string>{{"team", "a"}, {"x", "1"}}));
  ring.send({"POST /v1/volumes", {}, "{}", {}}, "lmsb_part");
  EXPECT_EQ(ring.control.fake_volumes.created.labels.at("team"), "a");
}

TEST(Labels, OfAKeyAreNotToBeHadOtherwise) {
  Keyring ring;
  for (const Needs& needs : std::vector<Needs>{
           {"POST /v1/sandboxes", {}, R"({"labels":{"team":"b"}})", {}},
           {"POST /v1/sandboxes", {}, R"({"labels":{"team":""},"snapshot":"snp_a"})", {}},
           {"PATCH /v1/sandboxes/{id}", {}, R"({"labels":{"team":null}})", {}},
           {"PATCH /v1/sandboxes/{id}", {}, R"({"labels":{"team":"b"}})", {}},
           {"POST /v1/volumes", {}, R"({"labels":{"team":"b"}})", {}},
           {"PATCH /v1/volumes/{id}", {}, R"({"labels":{"team":null}})", {}},
       }) {
    const auto answer = ring.send(needs, "lmsb_part");
    EXPECT_EQ(answer.status, 403) << needs.route << needs.body;
    EXPECT_THAT(answer.body, HasSubstr("label_fixed"));
  }
  EXPECT_EQ(ring.control.creations, 0);
}

}  // namespace
}  // namespace lmsb::server
