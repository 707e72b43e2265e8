// What a sandbox reaches by its model channel: every route of the API by its principal, and what comes by that door.
#include "server/model_doors.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <set>
#include <sys/socket.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/guard.h"
#include "server/test_support.h"

namespace lmsb::server {
namespace {

using testing::HasSubstr;

class SandboxDoor : public testing::Test {
 protected:
  SandboxDoor() {
    control::ModelAccess access;
    access.names = {"tiny"};
    allowance_ = std::make_shared<control::ModelAllowance>(loop_, access);
  }
  control::Principal who() const { return control::principal_of("s0000000000000000000", allowance_); }
  http::Response send(http::Request request) {
    request.peer = {};
    return io::run_blocking(doors_.answer(who(), std::move(request)));
  }
  http::Response send(std::string method, std::string path, std::string body = {}) {
    http::Request request = local_request(std::move(method), std::move(path), std::move(body));
    request.headers.set("Host", "127.0.0.1:11434");
    return send(std::move(request));
  }

  boost::asio::io_context loop_{1};
  std::shared_ptr<control::ModelAllowance> allowance_;
  FakeControl control_;
  control::Guard guard_{control_};
  Metrics metrics_;
  Logger log_{LogLevel::error, LogFormat::text};
  ModelDoors doors_{loop_, guard_, metrics_};
};

TEST_F(SandboxDoor, LeadsToModelsAndToNothingElse) {
  std::set<std::string> served;
  for (const RouteRow& row : doors_.routes().rows()) served.insert(row.method + " " + row.pattern);
  EXPECT_EQ(served,
            (std::set<std::string>{
                "GET /api/ps", "GET /api/tags", "GET /api/version", "POST /api/chat", "POST /api/embed",
                "POST /api/embeddings", "POST /api/generate", "POST /api/show", "GET /v1/models", "GET /v1/models/{id}",
                "POST /v1/chat/completions", "POST /v1/completions", "POST /v1/embeddings", "POST /v1/messages",
                "POST /v1/messages/count_tokens", "POST /v1/responses", "POST /v1/responses/input_tokens"}));
  App app(guard_, metrics_, log_, Fixture::options_of(local_policy(), ""));
  for (const RouteRow& row : app.routes().rows()) {
    if (served.count(row.method + " " + row.pattern) > 0) continue;
    const auto answer = send(row.method, row.pattern, row.method == "GET" || row.method == "HEAD" ? "" : "{}");
    EXPECT_THAT(answer.status, testing::AnyOf(404, 405)) << row.method << " " << row.pattern << ": " << answer.body;
  }
  EXPECT_EQ(control_.creations, 0);
}

TEST_F(SandboxDoor, AsksForItsPrincipal) {
  control_.model_answer.whole = R"({"id":"x"})";
  const auto answer = send("POST", "/v1/chat/completions", R"({"model":"tiny","messages":[]})");
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(control_.asker.name, "sandbox:s0000000000000000000");
  EXPECT_FALSE(control_.asker.admin);
  EXPECT_EQ(control_.asker.models, allowance_);
}

// The route table is the first wall, this is the second: its principal may do nothing but ask models by their names.
TEST_F(SandboxDoor, HasAPrincipalThatMayNothingElse) {
  for (const auto operation : {control::Operation::read, control::Operation::write, control::Operation::admin})
    EXPECT_FALSE(control::check_may(who(), operation).ok());
  EXPECT_TRUE(control::check_may(who(), control::Operation::models).ok());
  EXPECT_FALSE(io::run_blocking(guard_.complete(who(), "x")).ok());
  EXPECT_FALSE(io::run_blocking(guard_.ask_upstream(who(), "x")).ok());
  EXPECT_FALSE(io::run_blocking(guard_.create(who(), {})).ok());
}

TEST_F(SandboxDoor, AnswersForLoopbackAlone) {
  http::Request request = local_request("GET", "/v1/models");
  for (const char* host : {"127.0.0.1:11434", "localhost:11434", "localhost"}) {
    request.headers.set("Host", host);
    EXPECT_EQ(send(request).status, 200) << host;
  }
  for (const char* host : {"evil.test", "11434-s0000000000000000000.localhost:8000"}) {
    request.headers.set("Host", host);
    EXPECT_EQ(send(request).status, 421) << host;
  }
  request.headers.set("Host", "127.0.0.1:11434");
  request.headers.set("Origin", "https://evil.test");
  EXPECT_EQ(send(request).status, 403);
}

TEST_F(SandboxDoor, LooksAtNoKey) {
  http::Request request = local_request("GET", "/v1/models");
  request.headers.set("Authorization", "Bearer sandbox");
  EXPECT_EQ(send(request).status, 200);
  EXPECT_EQ(control_.asker.name, "sandbox:s0000000000000000000");
  EXPECT_EQ(send("POST", "/v1/models", "{}").status, 405);
  EXPECT_THAT(send("GET", "/v1/sandboxes").body, HasSubstr("a sandbox asks its models here"));
}

TEST_F(SandboxDoor, ReadsNoRequestOfWhoHasUsedHisTokens) {
  control::ModelAccess access;
  access.names = {"tiny"};
  access.tokens = 1;
  allowance_ = std::make_shared<control::ModelAllowance>(loop_, access, control::ModelUsage{1, 0, 1, 0});
  const auto answer = send("POST", "/v1/chat/completions", "no JSON");
  EXPECT_EQ(answer.status, 403) << answer.body;
  EXPECT_EQ(allowance_->usage().refused, 1U);
}

TEST_F(SandboxDoor, WantsJson) {
  http::Request request = local_request("POST", "/v1/chat/completions", "{}");
  request.headers.set("Content-Type", "text/plain");
  EXPECT_EQ(send(request).status, 415);
}

TEST_F(SandboxDoor, TakesNoSocketThatIsNotBound) {
  EXPECT_FALSE(doors_.open(who(), UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC))).ok());
}

}  // namespace
}  // namespace lmsb::server
