#include "server/once.h"

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "http/body.h"
#include "io/event.h"
#include "io/spawn.h"
#include "server/answers.h"
#include "server/test_support.h"

namespace lmsb::server {
namespace {

using Answer = std::optional<Result<http::Response>>;

// A handler that makes something when it may, and counts what it has made.
class OnceTest : public testing::Test {
 protected:
  OnceTest() : handler_(once(answers_, "/made/", [this](Call) { return make(); })) {}

  io::Task<http::Response> make() {
    while (!may_go_on_) LMSB_CO_CHECK(co_await changed_.wait());
    if (throws_) throw std::runtime_error("a bug");
    if (fails_) co_return Error(ErrorCode::unavailable, "away");
    ++made_;
    co_return http::Response::json(201, R"({"id":")" + std::to_string(made_) + R"("})");
  }

  static io::Always<void> ask(const Handler* handler, Answer* answer, std::string key, control::Principal who) {
    Call call;
    call.who = std::move(who);
    call.request = local_request("POST", "/v1/sandboxes", "{}");
    call.request.headers.set("Idempotency-Key", key);
    *answer = co_await (*handler)(std::move(call));
  }

  // Asks, as a client that goes away when `canceller` is used.
  void send(Answer& answer, io::Canceller canceller = {}, std::string key = "key",
            control::Principal who = {"me", false}) {
    io::spawn(loop_, ask(&handler_, &answer, std::move(key), std::move(who)), std::move(canceller));
    loop_.restart();
    loop_.poll();
  }
  void go_on() {
    may_go_on_ = true;
    changed_.notify_all();
    loop_.restart();
    loop_.poll();
  }

  boost::asio::io_context loop_;
  io::Event changed_{loop_};
  IdempotentAnswers answers_;
  bool may_go_on_ = false;
  bool fails_ = false;
  bool throws_ = false;
  int made_ = 0;
  Handler handler_;
};

TEST_F(OnceTest, WhatAClientHasLeftIsDoneAndTheSameIsAnsweredToItsNextRequest) {
  io::Canceller leaves;
  Answer first;
  send(first, leaves);
  leaves.cancel();
  loop_.poll();
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(first->ok());
  Answer meanwhile;
  send(meanwhile);
  ASSERT_TRUE(meanwhile.has_value());
  EXPECT_EQ(meanwhile->error().slug(), "idempotency_key_in_use");
  go_on();
  Answer second;
  send(second);
  ASSERT_TRUE(second.has_value() && second->ok());
  EXPECT_EQ((*second)->body, R"({"id":"1"})");
  EXPECT_EQ((*second)->headers.find("Location"), "/made/1");
  EXPECT_EQ((*second)->headers.find("Idempotent-Replayed"), "true");
  EXPECT_EQ(made_, 1);
}

TEST_F(OnceTest, WhatFailedWithoutAClientIsDoneAgain) {
  io::Canceller leaves;
  Answer first;
  send(first, leaves);
  leaves.cancel();
  fails_ = true;
  go_on();
  fails_ = false;
  Answer second;
  send(second);
  ASSERT_TRUE(second.has_value() && second->ok());
  EXPECT_EQ(made_, 1);
}

TEST_F(OnceTest, OnlySomeGoOnWithoutTheirClients) {
  std::vector<Answer> left(16);
  for (std::size_t i = 0; i < left.size(); ++i) {
    io::Canceller leaves;
    send(left[i], leaves, std::to_string(i));
    leaves.cancel();
    loop_.poll();
  }
  Answer refused;
  send(refused);
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->error().slug(), "sandbox_busy");
  go_on();
  EXPECT_EQ(made_, 16);
  Answer next;
  send(next);
  ASSERT_TRUE(next.has_value() && next->ok());
}

TEST_F(OnceTest, RemembersNothingForWhomItIsNotAllowed) {
  auto grant = std::make_shared<control::Grant>();
  grant->may_read = true;
  const control::Principal reader{"key:key_a", false, std::move(grant)};
  Answer refused;
  send(refused, {}, "key", reader);
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->error().slug(), "scope_missing");
  EXPECT_EQ(answers_.size(), 0U);
}

TEST_F(OnceTest, ABugIsAnErrorOfItsRequestAlone) {
  may_go_on_ = true;
  throws_ = true;
  Answer failed;
  send(failed);
  ASSERT_TRUE(failed.has_value());
  EXPECT_EQ(failed->error().code(), ErrorCode::internal);
  throws_ = false;
  Answer second;
  send(second);
  ASSERT_TRUE(second.has_value() && second->ok());
}

// What is sent with a body that is read as it comes, by a handler that counts what it has read to its end.
class OnceStreamed : public testing::Test {
 protected:
  OnceStreamed() : handler_(once(answers_, "/made/", [this](Call call) { return make(std::move(call)); })) {}

  io::Task<http::Response> make(Call call) {
    std::string whole;
    while (true) {
      LMSB_CO_TRY(const std::string piece, co_await call.request.incoming->read());
      if (piece.empty()) break;
      whole += piece;
    }
    ++made_;
    promised_ = call.promised->request;
    co_return made_answer(R"({"id":"of )" + whole + R"("})", "/made/of " + whole);
  }
  Result<http::Response> send(std::string body, const std::string& name = "n") {
    Call call;
    call.who = {"me", false};
    call.request = local_request("POST", "/v1/snapshots/import");
    call.request.query = {{"name", name}};
    call.request.incoming = http::reader_of(std::move(body));
    call.request.headers.set("Idempotency-Key", "key");
    return io::run_blocking(handler_(std::move(call)));
  }

  IdempotentAnswers answers_;
  int made_ = 0;
  Sha256 promised_{};
  Handler handler_;
};

TEST_F(OnceStreamed, IsComparedToItsEndBeforeTheFirstAnswerComesAgain) {
  const auto first = send("file");
  ASSERT_TRUE(first.ok()) << first.error().message();
  EXPECT_EQ(first->headers.find("Location"), "/made/of file");
  EXPECT_FALSE(first->headers.find("Idempotent-Replayed"));
  EXPECT_NE(promised_, Sha256()) << "what is written down with what is made says what was asked";
  const auto again = send("file");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->body, first->body);
  EXPECT_EQ(again->headers.find("Location"), "/made/of file");
  EXPECT_EQ(again->headers.find("Idempotent-Replayed"), "true");
  EXPECT_EQ(made_, 1);
}

TEST_F(OnceStreamed, RefusesAnotherFileAndAnotherQueryWithTheSameKey) {
  ASSERT_TRUE(send("file").ok());
  EXPECT_EQ(send("fil").error().slug(), "idempotency_key_reused");
  EXPECT_EQ(send("file", "m").error().slug(), "idempotency_key_reused");
  EXPECT_EQ(made_, 1);
}

TEST(Once, WhatNeverEndsMayBeDroppedAfterTheTable) {
  auto answers = std::make_unique<IdempotentAnswers>();
  auto begun = answers->begin({"me", "key", sha256("{}")});
  ASSERT_TRUE(begun.ok() && begun->turn);
  answers.reset();
  begun->turn->finish("late");
}

}  // namespace
}  // namespace lmsb::server
