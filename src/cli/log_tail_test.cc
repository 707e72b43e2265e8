#include "cli/log_tail.h"

#include <gtest/gtest.h>

#include "cli/fake_api_for_test.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

// A process whose output is `text`, of which what is between `lost` and `kept` is gone; pieces have 64 KiB at most.
class Process final : public Api {
 public:
  explicit Process(std::string text, std::uint64_t lost = 0, std::uint64_t kept = 0)
      : text_(std::move(text)), lost_(lost), kept_(kept) {}
  Result<Answer> send(const Call& call) override {
    asked_last = call.target;
    std::uint64_t offset =
        std::min<std::uint64_t>(std::stoull(call.target.substr(call.target.rfind('=') + 1)), text_.size());
    const std::uint64_t asked = offset;
    if (offset >= lost_ && offset < kept_) offset = kept_;
    const std::uint64_t stop = offset < lost_ ? lost_ : text_.size();
    const std::string piece = text_.substr(offset, std::min<std::uint64_t>(stop - offset, 65'536));
    json::Writer out;
    out.begin_object().key("offset").unsigned_integer(offset).key("text").string(piece);
    out.key("missing_bytes").unsigned_integer(offset - asked);
    out.key("next_offset").unsigned_integer(offset + piece.size()).key("end").unsigned_integer(text_.size());
    largest = std::max(largest, piece.size());
    return Answer{200, std::move(out.end_object()).str()};
  }
  Result<Answer> send_for_lines(const Call& call, const LineHandler&) override { return send(call); }
  Result<Answer> send_octets(const Call& call, int) override { return send(call); }
  Result<Answer> send_for_octets(const Call& call, int) override { return send(call); }
  std::size_t largest = 0;
  std::string asked_last;

 private:
  std::string text_;
  std::uint64_t lost_, kept_;
};

std::string tail(const std::string& text, std::uint64_t lines) {
  Process process(text);
  const auto begin = begin_of_tail(process, "/v1/sandboxes/a/processes/prc_1", "stdout", lines);
  EXPECT_TRUE(begin.ok());
  return text.substr(*begin);
}

TEST(LogTail, BeginsAtTheLastLines) {
  EXPECT_EQ(tail("a\nb\nc\n", 1), "c\n");
  EXPECT_EQ(tail("a\nb\nc\n", 2), "b\nc\n");
  EXPECT_EQ(tail("a\nb\nc", 1), "c");
  EXPECT_EQ(tail("a\n\n", 1), "\n");
}

TEST(LogTail, IsAllWhereThereIsNoMoreAndNothingOfNone) {
  EXPECT_EQ(tail("a\nb\n", 2), "a\nb\n");
  EXPECT_EQ(tail("a\nb\n", 99), "a\nb\n");
  EXPECT_EQ(tail("", 5), "");
  EXPECT_EQ(tail("a\nb\n", 0), "");
}

TEST(LogTail, CountsOverManyPieces) {
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += "line " + std::to_string(i) + "\n";
  EXPECT_EQ(tail(text, 1), "line 39999\n");
  EXPECT_TRUE(tail(text, 30'000).starts_with("line 10000\n"));
  EXPECT_EQ(tail(text, 40'000), text);
  EXPECT_EQ(tail(std::string(300'000, 'x') + "\nlast", 2).size(), 300'005U);
}

TEST(LogTail, PassesOverWhatIsLost) {
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "123456789\n";
  Process process(text, 100'000, 900'000);
  EXPECT_EQ(*begin_of_tail(process, "/p", "stdout", 9'999), 900'010U);
  EXPECT_EQ(*begin_of_tail(process, "/p", "stdout", 10'000), 100'000U) << "the line that was cut begins there";
  EXPECT_EQ(*begin_of_tail(process, "/p", "stdout", 10'001), 99'990U);
  EXPECT_EQ(*begin_of_tail(process, "/p", "stdout", 1'000'000), 0U);
}

TEST(LogTail, CountsWhatCameUntilAMoment) {
  Process process("a\nb\n");
  EXPECT_EQ(*begin_of_tail(process, "/p", "stdout", 1, "2026-01-31T23:59:59+01:00"), 2U);
  EXPECT_EQ(process.asked_last, "/p/output?stream=stdout&until=2026-01-31T23%3A59%3A59%2B01%3A00&offset=0");
}

TEST(LogTail, PassesOnWhatWasRefused) {
  FakeApi api;
  api.answers["GET /p/output?stream=stderr&offset=18446744073709551615"] = {
      404, R"({"error":{"code":"process_not_found","message":"m"}})"};
  EXPECT_EQ(begin_of_tail(api, "/p", "stderr", 1).error().slug(), "process_not_found");
}

}  // namespace
}  // namespace lmsb::cli
