#include "control/metered_answer.h"

#include <deque>

#include <gtest/gtest.h>

#include "http/body.h"
#include "io/event.h"
#include "io/test_run_soon.h"

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

TEST(TokensIn, AnAnswerInAnthropicsWordsAreAllOfItsPrompt) {
  EXPECT_EQ(tokens_in(R"({"usage":{"cache_read_input_tokens":9,"input_tokens":1,"output_tokens":30}})"),
            (TokenCount{10, 30}));
}

TEST(TokensIn, AnEventThatHoldsAnAnswerAreThoseOfIt) {
  EXPECT_EQ(tokens_in(R"({"type":"response.completed","response":{"usage":{"input_tokens":10,"output_tokens":20}}})"),
            (TokenCount{10, 20}));
  EXPECT_EQ(tokens_in(R"({"type":"response.created","response":{"id":"x"}})"), std::nullopt);
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
  EXPECT_EQ(meter.count(), (TokenCount{201, 0}));
  meter.add("data: {\"choices\":[]}\n\ndata: {\"choices\":[]}\n\n: comment\n\ndata: {\"cho");
  EXPECT_EQ(meter.count(), (TokenCount{201, 2}));
}

constexpr const char* kMessage =
    "event: message_start\n"
    R"(data: {"type":"message_start","message":{"usage":{"cache_read_input_tokens":9,"input_tokens":1}}})"
    "\n\nevent: content_block_delta\n"
    R"(data: {"type":"content_block_delta","delta":{"type":"text_delta","text":"abcdefghijklmnop"}})"
    "\n\n";

TEST(StreamMeter, TakesWhatBothEndsOfAnAnswerInAnthropicsWordsSay) {
  StreamMeter meter(400);
  meter.add(kMessage);
  meter.add("event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":7}}\n\n");
  EXPECT_EQ(meter.count(), (TokenCount{10, 7}));
}

TEST(StreamMeter, CountsTheTextOfOneInAnthropicsWordsThatBreaksOff) {
  StreamMeter meter(400);
  meter.add(kMessage);
  EXPECT_EQ(meter.count(), (TokenCount{200, 4}));
}

TEST(StreamMeter, TakesWhatTheLastEventOfAResponseSays) {
  StreamMeter meter(400);
  meter.add("data: {\"type\":\"response.output_text.delta\",\"delta\":\"" + std::string(100, 'x') + "\"}\n\n");
  EXPECT_EQ(meter.count(), (TokenCount{200, 25}));
  meter.add(R"(data: {"response":{"usage":{"input_tokens":5,"output_tokens":20}}})"
            "\n\n");
  EXPECT_EQ(meter.count(), (TokenCount{5, 20}));
}

TEST(StreamMeter, CountsTheTextOfAnEventThatHasMuch) {
  StreamMeter meter(0);
  meter.add(R"(data: {"choices":[{"index":0,"delta":{"content":")" + std::string(300, 'x') + "\"}}]}\n\n");
  meter.add(R"(data: {"choices":[{"delta":{"tool_calls":[{"function":{"arguments":")" + std::string(100, 'x') +
            "\"}}]}}]}\n\n");
  EXPECT_EQ(meter.count(), (TokenCount{0, 100}));
}

std::string event_of(int index, const std::string& more = "") {
  return "data: {\"choices\":[{\"index\":" + std::to_string(index) + ",\"text\":\"a\"}]" + more + "}\n\n";
}
const char* const kUsage = R"(,"usage":{"prompt_tokens":7,"completion_tokens":3})";

TEST(StreamMeter, SumsWhatEachAnswerOfAStreamSays) {
  StreamMeter meter(4);
  meter.add(event_of(0) + event_of(1) + event_of(1) + event_of(0) + event_of(1, kUsage));
  EXPECT_EQ(meter.count(), (TokenCount{7, 5})) << "the other one has not ended";
  meter.add(event_of(0, kUsage));
  EXPECT_EQ(meter.count(), (TokenCount{14, 6}));
}

TEST(StreamMeter, SumsWhatIsSaidOfNoAnswerInParticular) {
  StreamMeter meter(4);
  const std::string closing = std::string("data: {\"choices\":[]") + kUsage + "}\n\n";
  meter.add(event_of(0) + event_of(1) + closing);
  EXPECT_EQ(meter.count().prompt, 7U);
  meter.add(closing);
  EXPECT_EQ(meter.count(), (TokenCount{14, 6}));
}

TEST(StreamMeter, TellsNoMoreAnswersApartThanItHasRoomFor) {
  StreamMeter meter(0);
  for (int i = -100; i < 10'000; ++i) meter.add(event_of(i, kUsage));
  EXPECT_EQ(meter.count(), (TokenCount{65 * 7, 65 * 3}));
}

TEST(StreamMeter, KeepsNoLineThatDoesNotEndAndCountsItsOctets) {
  StreamMeter meter(0);
  constexpr std::uint64_t kOctets = 64 * 64 * 1024 + 6;
  meter.add("data: ");
  for (int i = 0; i < 64; ++i) meter.add(std::string(64 * 1024, 'x'));
  EXPECT_EQ(meter.count(), (TokenCount{0, (kOctets + 3) / 4})) << "also where its end does not come";
  meter.add("\n\ndata: {}\n\n");
  EXPECT_EQ(meter.count(), (TokenCount{0, (kOctets + 3) / 4 + 1}));
}

class Pieces final : public http::BodyReader {
 public:
  explicit Pieces(std::deque<std::string> pieces) : pieces_(std::move(pieces)) {}
  io::Task<std::string> read() override {
    if (pieces_.empty()) {
      auto* loop = co_await io::this_loop();
      io::Event never(*loop);
      LMSB_CO_CHECK(co_await never.wait());
    }
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
  io::Task<ModelAnswer> asking(const std::string& model, const std::string& body) {
    ModelRequest request;
    request.model = model;
    request.body = body;
    request.is_several = is_several_;
    request.work = work_;
    AskModel asked = [this](ModelRequest passed) { return answer(std::move(passed)); };
    CountTokens counted = [this](const TokenCount& tokens) { told_.push_back(tokens); };
    return ask_within(allowance_, std::move(request), std::move(asked), std::move(counted));
  }
  Result<ModelAnswer> ask(const std::string& model = "", const std::string& body = "{}") {
    return io::run_soon(loop_, asking(model, body));
  }
  static io::Always<void> ask_later(AskWithin* self, std::optional<Result<ModelAnswer>>* answer) {
    auto asked = self->asking("", "{}");
    auto told = co_await std::move(asked);
    answer->emplace(std::move(told));
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
  bool is_several_ = false;
  ModelWork work_ = ModelWork::answer;
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

TEST_F(AskWithin, CountsTheRequestAndNoTokensWhereTokensAreOnlyCounted) {
  work_ = ModelWork::counting;
  answer_.whole = R"({"input_tokens":10})";
  ASSERT_TRUE(ask("tiny", std::string(40, ' ')).ok());
  EXPECT_EQ(allowance_->usage(), (ModelUsage{1, 0, 0, 0}));
}

TEST_F(AskWithin, CountsAStreamWhenItIsLetGoOf) {
  answer_.events = std::make_shared<Pieces>(std::deque<std::string>{"data: {}\n\n", "data: {}\n\n"});
  auto answer = ask("tiny", std::string(40, ' '));
  answer_.events.reset();
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(*io::run_soon(loop_, answer->events->read()), "data: {}\n\n");
  (void)io::run_soon(loop_, answer->events->read());
  EXPECT_EQ(allowance_->usage().tokens(), 0U);
  answer->events.reset();
  loop_.restart();
  loop_.poll();
  EXPECT_EQ(allowance_->usage(), (ModelUsage{1, 0, 20, 2}));
}

// Else who does not read would hear what he has not paid for.
TEST_F(AskWithin, CountsAStreamThatIsOverThoughNobodyHasReadIt) {
  answer_.events = std::make_shared<Pieces>(std::deque<std::string>{"data: {}\n\n", "data: {}\n\n", ""});
  auto answer = ask("tiny", "1234");
  answer_.events.reset();
  ASSERT_TRUE(answer.ok());
  loop_.restart();
  loop_.poll();
  EXPECT_EQ(allowance_->usage(), (ModelUsage{1, 0, 2, 2}));
}

TEST_F(AskWithin, KeepsThePlaceOfAnAnswerUntilItHasBeenTaken) {
  answer_.whole = R"({"usage":{"prompt_tokens":7,"completion_tokens":3}})";
  const auto turn = std::make_shared<int>();
  answer_.place = turn;
  std::vector<ModelAnswer> unread;
  for (std::uint32_t i = 0; i < ModelAllowance::kAtOnce; ++i) unread.push_back(*ask());
  answer_.place.reset();
  EXPECT_EQ(turn.use_count(), 1) << "what the model's server has to do with it is over";
  std::optional<Result<ModelAnswer>> next;
  io::spawn(loop_, ask_later(this, &next));
  loop_.restart();
  loop_.poll();
  EXPECT_FALSE(next);
  unread.pop_back();
  loop_.restart();
  loop_.poll();
  ASSERT_TRUE(next);
  EXPECT_TRUE(next->ok());
}

TEST_F(AskWithin, AsksForOneAnswerAtATime) {
  is_several_ = true;
  const auto answer = ask();
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().slug(), "several_answers");
  EXPECT_TRUE(asked_.empty());
  EXPECT_EQ(allowance_->usage(), ModelUsage());
}

TEST_F(AskWithin, AsksNoModelThatTheSandboxHasNot) {
  const auto answer = ask("other");
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().slug(), "model_not_found");
  EXPECT_TRUE(asked_.empty());
}

TEST_F(AskWithin, CountsNothingThatSurelyDidNotComeToTheServer) {
  for (const char* slug : {"models_busy", "runner_busy", "model_not_loadable", "context_length_exceeded"}) {
    error_ = Error(ErrorCode::unavailable, "no").with_slug(slug);
    EXPECT_FALSE(ask("tiny", std::string(40, ' ')).ok());
    EXPECT_EQ(allowance_->usage().tokens(), 0U) << slug;
  }
}

TEST_F(AskWithin, CountsThePromptOfWhatMayHaveBeenBegun) {
  std::uint64_t counted = 0;
  for (const char* slug : {"runner_died", "runner_timeout", "runner_failed", "model_unable", "prompt_refused", ""}) {
    error_ = Error(ErrorCode::unavailable, "it ended").with_slug(slug);
    EXPECT_FALSE(ask("tiny", std::string(40, ' ')).ok());
    EXPECT_EQ(allowance_->usage().prompt_tokens, counted += 20) << slug;
  }
}

}  // namespace
}  // namespace lmsb::control
