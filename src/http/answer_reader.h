#pragma once
// AnswerReader: one answer from octets that come in pieces, whatever carries them. Bounded by the parser's limits; no
// line is longer than 64 KiB.
#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"
#include "http/parser.h"

namespace lmsb::http {

class AnswerReader {
 public:
  // `bodyless`: the request was HEAD.
  AnswerReader(Bytes max_body, bool bodyless);

  // Where the next octets go; never empty. Errors: invalid_argument (a line too long).
  Result<std::span<char>> room();
  // The first `count` octets of room() have been filled. Errors: those of the parser.
  Status took(std::size_t count);
  // No more octets come. Errors: the answer is cut off.
  Status end();
  // Status and headers are there; what has come of the body, too.
  bool has_head() const { return parser_.stage() == Stage::body || is_complete(); }
  bool is_complete() const { return parser_.stage() == Stage::complete; }
  Response& response() { return parser_.response(); }
  // What came behind the answer.
  std::string rest() const { return buffer_.substr(0, filled_); }

 private:
  Status check() const;
  ResponseParser parser_;
  std::string buffer_;
  std::size_t filled_ = 0;
};

}  // namespace lmsb::http
