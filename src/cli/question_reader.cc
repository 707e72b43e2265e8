#include "cli/question_reader.h"

#include <array>
#include <cerrno>
#include <poll.h>
#include <unistd.h>
#include <utility>

namespace lmsb::cli {
namespace {

constexpr std::string_view kQuotes = "\"\"\"";

}  // namespace

std::optional<QuestionReader::Question> QuestionReader::next() {
  prompt_(">>> ");
  auto line = next_line();
  if (!line) return std::nullopt;
  if (line->starts_with(kQuotes)) return quoted(line->substr(kQuotes.size()));
  const bool is_command = line->starts_with("/");
  return Question{*std::move(line), is_command};
}

std::optional<QuestionReader::Question> QuestionReader::quoted(std::string first) {
  std::string text = std::move(first);
  while (!text.ends_with(kQuotes)) {
    prompt_("... ");
    const auto line = next_line();
    if (!line) return std::nullopt;
    if (text.size() <= kMaxQuestion) text += "\n" + *line;
    if (text.size() > kMaxQuestion && line->ends_with(kQuotes)) {
      end_ = End::too_long;
      return std::nullopt;
    }
  }
  text.resize(text.size() - kQuotes.size());
  return Question{std::move(text), false};
}

std::optional<std::string> QuestionReader::next_line() {
  bool is_too_long = false;
  std::size_t end = 0;
  std::size_t looked = 0;
  while ((end = buffer_.find('\n', looked)) == std::string::npos) {
    if (buffer_.size() > kMaxQuestion) {
      is_too_long = true;
      buffer_.clear();
    }
    looked = buffer_.size();
    if (read_more()) continue;
    if (end_ == End::interrupted) return give_up(end_);
    end_ = is_too_long ? End::too_long : End::input;
    if (is_too_long || buffer_.empty()) return give_up(end_);
    return std::exchange(buffer_, {});  // a last line may have no end
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 1);
  if (!is_too_long) return line;
  end_ = End::too_long;
  return std::nullopt;
}

std::optional<std::string> QuestionReader::give_up(End why) {
  end_ = why;
  buffer_.clear();
  return std::nullopt;
}

// Whether more has come; else end_ says why not.
bool QuestionReader::read_more() {
  std::array<pollfd, 2> waited{pollfd{in_.get(), POLLIN, 0}, pollfd{interrupt_.get(), POLLIN, 0}};
  while (::poll(waited.data(), waited.size(), -1) < 0 && errno == EINTR) {
  }
  end_ = End::interrupted;
  if ((waited[1].revents & POLLIN) != 0) return false;
  std::array<char, 4096> piece{};
  ssize_t n = 0;
  do n = ::read(in_.get(), piece.data(), piece.size());
  while (n < 0 && errno == EINTR);
  end_ = n > 0 ? End::none : End::input;
  if (n > 0) buffer_.append(piece.data(), static_cast<std::size_t>(n));
  return n > 0;
}

}  // namespace lmsb::cli
