#pragma once
// QuestionReader: what somebody types to a model, line by line.
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace lmsb::cli {

// A line that begins with "/" is a command; all else is a question, and what stands between two """ is one whatever its
// lines are. Reads no further than to what has been asked for or lies in the pipe. One thread.
class QuestionReader {
 public:
  struct Question {
    std::string text;
    bool is_command = false;
  };
  // Why there is no question.
  enum class End : std::uint8_t { none, input, interrupted, too_long };

  static constexpr std::size_t kMaxQuestion = std::size_t{1} << 20U;

  // Both descriptors outlive it. `prompt` shows what is waited for: ">>> ", and "... " within """.
  QuestionReader(BorrowedFd in, BorrowedFd interrupt, std::function<void(std::string_view)> prompt)
      : in_(in), interrupt_(interrupt), prompt_(std::move(prompt)) {}

  // The next one; nothing: see end(). Blocks until then, or until `interrupt` can be read: what was typed of a question
  // is then forgotten. One that is longer than 1 MiB is skipped to its end.
  std::optional<Question> next();
  End end() const { return end_; }

 private:
  std::optional<std::string> next_line();
  bool read_more();
  std::optional<std::string> give_up(End why);
  std::optional<Question> quoted(std::string first);

  const BorrowedFd in_;
  const BorrowedFd interrupt_;
  const std::function<void(std::string_view)> prompt_;
  std::string buffer_;
  End end_ = End::none;
};

}  // namespace lmsb::cli
