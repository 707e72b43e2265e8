#include "control/metered_answer.h"

#include <deque>

#include <gtest/gtest.h>

#include "http/body.h"
#include "io/run_blocking.h"

namespace lmsb::control {
namespace {

TEST(TokensIn, AnAnswerAreThoseOfItsUsage) {
  EXPECT_EQ(tokens_in(R"({"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}})"),
            (TokenCount{12, 5}));
  EXPECT_EQ(tokens_in(R"({"usage":{"prompt_tokens":3},"timings":{"prompt_n":9}})"), (TokenCount{3, 0}));
}

TEST(TokensIn, AnEventWithoutUsageAreThoseOfItsTimings) {
  EXPECT_EQ(tokens_in(R"({"timings":{"cache_n":100,"prompt_n":12,"predicted_n":5}})"), (TokenCount{112, 5}));
  EXPECT_EQ(tokens_in(R"({"usage":null,"timings":{"prompt_n":1,"predicted_n":2}})"), (TokenCount{1, 2}));
}

TEST(TokensIn, WhatSaysNothingOrNoNumberAreNone) {
  EXPECT_EQ(tokens_in(R"({"choices":[{"delta":{"content":"a"}}]})"), std::nullopt);
  EXPECT_EQ(tokens_in(R"({"choices":[{"delta":{"content":"{\"usage\":{\"prompt_tokens\":9}}"}}]})"), std::nullopt);
  EXPECT_EQ(tokens_in(R"({"usage":)"), std::nullopt);
  EXPECT_EQ(tokens_in(R"({"usage":{"prompt_tokens":-5,"completion_tokens":"x"}})"), (TokenCount{0, 0}));
  EXPECT_EQ(tokens_in(R"({"usage":{"prompt_tokens":9000000000000000000}})"), (TokenCount{100'000'000, 0}));
}

TEST(StreamMeter, TakesWhatTheLastEventSays) {
  const std::string stream =
      "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"
      "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n";
  for (std::size_t size : {std::size_t{1}, std::size_t{5}, stream.size()}) {
    StreamMeter meter(400);
    for (std::size_t at = 0; at < stream.size(); at += size) meter.add(std::string_view(stream).substr(at, size));
    EXPECT_EQ(meter.count(), (TokenCount{7, 3})) << size;
  }
}

TEST(StreamMeter, CountsWhatItHasSeenOfOneThatBreaksOff) {
  StreamMeter meter(401);
  EXPECT_EQ(meter.count(), (TokenCount{101, 0}));
  meter.add("data: {\"choices\":[]}\n\ndata: {\"choices\":[]}\n\n: comment\n\ndata: {\"cho");
  EXPECT_EQ(meter.count(), (TokenCount{101, 2}));
}

TEST(StreamMeter, KeepsNoLineThatDoesNotEnd) {
  StreamMeter meter(0);
  meter.add("data: ");
  for (int i = 0; i < 64; ++i) meter.add(std::string(64 * 1024, 'x'));
  meter.add("\n\ndata: {}\n\n");
  EXPECT_EQ(meter.count(), (TokenCount{0, 1}));
}

class Pieces final : public http::BodyReader {
 public:
  explicit Pieces(std::deque<std::string> pieces) : pieces_(std::move(pieces)) {}
  io::Task<std::string> read() override {
    if (pieces_.empty()) co_return std::string();
    std::string piece = std::move(pieces_.front());
    pieces_.pop_front();
    co_return piece;
  }

 private:
  std::deque<std::string> pieces_;
};

class AskWithin : public testing::Test {
 protected:
  AskWithin() {
    ModelAccess access;
    access.names = {"tiny"};
    allowance_ = std::make_shared<ModelAllowance>(loop_, access);
  }
  Result<ModelAnswer> ask(const std::string& model = "", const std::string& body = "{}") {
    ModelRequest request;
    request.model = model;
    request.body = body;
    AskModel asked = [this](ModelRequest passed) { return answer(std::move(passed)); };
    CountTokens counted = [this](const TokenCount& tokens) { told_.push_back(tokens); };
    return io::run_on(loop_, ask_within(allowance_, std::move(request), std::move(asked), std::move(counted)));
  }
  io::Task<ModelAnswer> answer(ModelRequest passed) {
    asked_.push_back(passed.model);
    if (error_) co_return *error_;
    co_return answer_;
  }

  boost::asio::io_context loop_{1};
  std::shared_ptr<ModelAllowance> allowance_;
  ModelAnswer answer_;
  std::optional<Error> error_;
  std::vector<std::string> asked_;
  std::vector<TokenCount> told_;
};

TEST_F(AskWithin, CountsAWholeAnswer) {
  answer_.whole = R"({"usage":{"prompt_tokens":7,"completion_tokens":3}})";
  ASSERT_TRUE(ask().ok());
  EXPECT_EQ(asked_, (std::vector<std::string>{"tiny"}));
  EXPECT_EQ(allowance_->usage(), (ModelUsage{1, 0, 7, 3}));
  EXPECT_EQ(told_, (std::vector<TokenCount>{{7, 3}}));
}

TEST_F(AskWithin, CountsAStreamWhenItIsLetGoOf) {
  answer_.events = std::make_shared<Pieces>(std::deque<std::string>{"data: {}\n\n", "data: {}\n\n", "data: {}\n\n"});
  auto answer = ask("tiny", std::string(40, ' '));
  answer_.events.reset();
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(*io::run_on(loop_, answer->events->read()), "data: {}\n\n");
  (void)io::run_on(loop_, answer->events->read());
  EXPECT_EQ(allowance_->usage().tokens(), 0U);
  answer->events.reset();
  EXPECT_EQ(allowance_->usage(), (ModelUsage{1, 0, 10, 2}));
}

TEST_F(AskWithin, AsksNoModelThatTheSandboxHasNot) {
  const auto answer = ask("other");
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().slug(), "model_not_found");
  EXPECT_TRUE(asked_.empty());
}

TEST_F(AskWithin, CountsNothingThatWasRefusedAndWhatBrokeOff) {
  error_ = Error(ErrorCode::invalid_argument, "no").with_slug("prompt_refused");
  EXPECT_FALSE(ask("tiny", std::string(40, ' ')).ok());
  EXPECT_EQ(allowance_->usage().tokens(), 0U);
  error_ = Error(ErrorCode::unavailable, "died").with_slug("runner_died");
  EXPECT_FALSE(ask("tiny", std::string(40, ' ')).ok());
  EXPECT_EQ(allowance_->usage().prompt_tokens, 10U);
}

}  // namespace
}  // namespace lmsb::control
