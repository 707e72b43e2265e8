#include "http/answer_reader.h"

#include <string_view>

namespace lmsb::http {
namespace {

ParserLimits limits_for(Bytes max_body) {
  ParserLimits limits;
  limits.header = Bytes::KiB(60);
  limits.body = max_body;
  return limits;
}

}  // namespace

AnswerReader::AnswerReader(Bytes max_body, bool bodyless)
    : parser_(limits_for(max_body), bodyless), buffer_(std::size_t{1} << 16U, '\0') {}

Result<std::span<char>> AnswerReader::room() {
  if (filled_ == buffer_.size()) return Error(ErrorCode::invalid_argument, "the answer is not HTTP: a line too long");
  return std::span<char>(buffer_).subspan(filled_);
}

Status AnswerReader::took(std::size_t count) {
  filled_ += count;
  const std::size_t used = parser_.feed(std::string_view(buffer_).substr(0, filled_));
  buffer_.erase(0, used);
  buffer_.append(used, '\0');
  filled_ -= used;
  return check();
}

Status AnswerReader::end() {
  parser_.feed_end();
  if (parser_.stage() != Stage::failed && !is_complete()) return Error(ErrorCode::unavailable, "the answer is cut off");
  return check();
}

Status AnswerReader::check() const { return parser_.stage() == Stage::failed ? parser_.error() : Status(); }

}  // namespace lmsb::http
