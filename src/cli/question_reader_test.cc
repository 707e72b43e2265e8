#include "cli/question_reader.h"

#include <array>
#include <sys/eventfd.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace lmsb::cli {
namespace {

using End = QuestionReader::End;

class QuestionReaderTest : public testing::Test {
 protected:
  void type(const std::string& text) {
    ASSERT_EQ(::write(pipe_.in.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  // "text", "/command" or "!" and why there is none.
  std::string next() {
    const auto question = reader_.next();
    if (question) return (question->is_command ? "command " : "question ") + question->text;
    return reader_.end() == End::input ? "!input" : reader_.end() == End::interrupted ? "!interrupted" : "!too long";
  }

  struct Pipe {
    Pipe() {
      std::array<int, 2> ends{};
      EXPECT_EQ(::pipe(ends.data()), 0);
      out.reset(ends[0]);
      in.reset(ends[1]);
    }
    UniqueFd out;
    UniqueFd in;
  };
  Pipe pipe_;
  UniqueFd interrupt_{::eventfd(0, EFD_NONBLOCK)};
  std::string prompts_;
  QuestionReader reader_{pipe_.out, interrupt_, [this](std::string_view prompt) { prompts_ += prompt; }};
};

TEST_F(QuestionReaderTest, GivesLinesAndTellsCommandsFromQuestions) {
  type("What is AI?\n/help\n\nlast");
  pipe_.in.reset();
  EXPECT_EQ(next(), "question What is AI?");
  EXPECT_EQ(next(), "command /help");
  EXPECT_EQ(next(), "question ");
  EXPECT_EQ(next(), "question last");
  EXPECT_EQ(next(), "!input");
}

TEST_F(QuestionReaderTest, TakesAllBetweenQuotesForOneQuestionWhateverItsLinesAre) {
  type("\"\"\"/usr/bin is\n/bye\nthere?\"\"\"\n\"\"\"one line\"\"\"\n");
  EXPECT_EQ(next(), "question /usr/bin is\n/bye\nthere?");
  EXPECT_EQ(next(), "question one line");
  EXPECT_EQ(prompts_, ">>> ... ... >>> ");
}

TEST_F(QuestionReaderTest, ForgetsWhatWasTypedWhenItIsInterrupted) {
  type("half");
  const std::uint64_t one = 1;
  ASSERT_EQ(::write(interrupt_.get(), &one, sizeof one), 8);
  EXPECT_EQ(next(), "!interrupted");
  std::uint64_t count = 0;
  ASSERT_EQ(::read(interrupt_.get(), &count, sizeof count), 8);
  type(" whole\n");
  EXPECT_EQ(next(), "question half whole") << "what still lies in the pipe is not the reader's; a terminal drops it";
}

TEST_F(QuestionReaderTest, SkipsWhatIsTooLongToItsEnd) {
  const pid_t child = ::fork();
  if (child == 0) {
    const std::string text = std::string(QuestionReader::kMaxQuestion * 2, 'x') + "\n\"\"\"a\n" +
                             std::string(QuestionReader::kMaxQuestion, 'y') + "\nb\"\"\"\nshort\n";
    for (std::size_t sent = 0; sent < text.size();) {
      const ssize_t n = ::write(pipe_.in.get(), text.data() + sent, text.size() - sent);
      if (n <= 0) ::_exit(1);
      sent += static_cast<std::size_t>(n);
    }
    ::_exit(0);
  }
  pipe_.in.reset();
  EXPECT_EQ(next(), "!too long");
  EXPECT_EQ(next(), "!too long");
  EXPECT_EQ(next(), "question short");
}

}  // namespace
}  // namespace lmsb::cli
