#include "server/event_stream.h"

#include <vector>

#include <gtest/gtest.h>

#include "http/body.h"
#include "io/run_blocking.h"

namespace lmsb::server {
namespace {

AnswerFormat wanted(std::string accept, AnswerFormat otherwise = AnswerFormat::json) {
  http::Headers headers;
  headers.set("Accept", std::move(accept));
  return wanted_format(headers, otherwise);
}

// Gives what it was given, one after the other; an Error once.
class Scripted final : public EventSequence {
 public:
  using Step = Result<std::optional<StreamEvent>>;
  explicit Scripted(std::vector<Step> steps) : steps_(std::move(steps)) {}
  io::Task<std::optional<StreamEvent>> next(io::Deadline deadline) override {
    had_deadline = !deadline.is_never();
    if (at_ == steps_.size()) co_return std::optional<StreamEvent>();
    co_return steps_[at_++];
  }
  bool had_deadline = false;

 private:
  std::vector<Step> steps_;
  std::size_t at_ = 0;
};

StreamEvent event(std::string json, std::string name = "", std::string id = "") {
  StreamEvent made;
  made.json = std::move(json);
  made.name = std::move(name);
  made.id = std::move(id);
  return made;
}

// All pieces, "!" in the place of an Error.
std::vector<std::string> pieces_of(const http::Response& response) {
  std::vector<std::string> pieces;
  while (true) {
    const Result<std::string> piece = io::run_blocking(response.source->next());
    pieces.push_back(piece.ok() ? *piece : "!");
    if (!piece.ok() || piece->empty()) return pieces;
  }
}

TEST(EventStream, TakesTheFormatThatTheClientWantsMost) {
  EXPECT_EQ(wanted("text/event-stream"), AnswerFormat::sse);
  EXPECT_EQ(wanted("application/x-ndjson"), AnswerFormat::ndjson);
  EXPECT_EQ(wanted("Application/JSON", AnswerFormat::sse), AnswerFormat::json);
  EXPECT_EQ(wanted("application/json;q=0.5, text/event-stream"), AnswerFormat::sse);
  EXPECT_EQ(wanted("application/json; charset=utf-8; q=0.5 ,application/x-ndjson;Q=0.7"), AnswerFormat::ndjson);
  EXPECT_EQ(wanted("application/x-ndjson, text/event-stream"), AnswerFormat::ndjson) << "the first of equals";
}

TEST(EventStream, TakesItsOwnFormatWhereTheClientDoesNotMind) {
  EXPECT_EQ(wanted_format(http::Headers(), AnswerFormat::sse), AnswerFormat::sse);
  EXPECT_EQ(wanted("*/*", AnswerFormat::ndjson), AnswerFormat::ndjson);
  EXPECT_EQ(wanted("text/html", AnswerFormat::ndjson), AnswerFormat::ndjson);
  EXPECT_EQ(wanted("text/event-stream;q=0", AnswerFormat::ndjson), AnswerFormat::ndjson);
  EXPECT_EQ(wanted(",;,; q=,", AnswerFormat::ndjson), AnswerFormat::ndjson);
  EXPECT_EQ(wanted("text/event-stream;q=nan, application/json;q=1e9"), AnswerFormat::json);
  EXPECT_EQ(wanted("text/html, */*;q=0.1, text/event-stream;q=0.05"), AnswerFormat::json);
}

TEST(EventStream, WritesServerSentEvents) {
  const StreamEvent all = event(R"({"a":1})", "output", "17");
  EXPECT_EQ(format_event(all, AnswerFormat::sse), "event: output\nid: 17\ndata: {\"a\":1}\n\n");
  EXPECT_EQ(format_event(event("{}"), AnswerFormat::sse), "data: {}\n\n");
  EXPECT_EQ(format_event(event("{}", "a\ndata: evil", "b\r\n"), AnswerFormat::sse), "event: a\nid: b\ndata: {}\n\n");
}

TEST(EventStream, WritesOneObjectALine) {
  EXPECT_EQ(format_event(event(R"({"a":1})", "output", "17"), AnswerFormat::ndjson), "{\"a\":1}\n");
}

TEST(EventStream, AnswersWithAPieceForEachEventAndACommentInSilence) {
  const Error late(ErrorCode::deadline_exceeded, "nothing came");
  auto sequence = std::make_unique<Scripted>(std::vector<Scripted::Step>{event("{}"), late, event("{}")});
  const http::Response response = event_answer(std::move(sequence), AnswerFormat::sse);
  EXPECT_EQ(response.headers.find("Content-Type"), "text/event-stream");
  EXPECT_EQ(response.headers.find("Cache-Control"), "no-store");
  EXPECT_EQ(response.headers.find("X-Accel-Buffering"), "no");
  const std::vector<std::string> expected{"data: {}\n\n", ": keep-alive\n\n", "data: {}\n\n", ""};
  EXPECT_EQ(pieces_of(response), expected);
}

TEST(EventStream, SetsATimeLimitWhereACommentCanBeSaid) {
  auto sequence = std::make_unique<Scripted>(std::vector<Scripted::Step>{event("{}")});
  const Scripted& asked = *sequence;
  const http::Response lines = event_answer(std::move(sequence), AnswerFormat::ndjson);
  EXPECT_EQ(pieces_of(lines).front(), "{}\n");
  EXPECT_FALSE(asked.had_deadline);
  sequence = std::make_unique<Scripted>(std::vector<Scripted::Step>{event("{}")});
  const Scripted& sse = *sequence;
  const http::Response events = event_answer(std::move(sequence), AnswerFormat::sse);
  EXPECT_EQ(pieces_of(events).front(), "data: {}\n\n");
  EXPECT_TRUE(sse.had_deadline);
}

TEST(EventStream, PassesOnWhatEndsIt) {
  const Error lost(ErrorCode::unavailable, "the sandbox is gone");
  auto sequence = std::make_unique<Scripted>(std::vector<Scripted::Step>{event("{}"), lost});
  const std::vector<std::string> expected{"data: {}\n\n", "!"};
  EXPECT_EQ(pieces_of(event_answer(std::move(sequence), AnswerFormat::sse)), expected);
}

}  // namespace
}  // namespace lmsb::server
