// What an upstream or a model's runner answers.
#include <algorithm>
#include <string_view>

#include "fuzz.h"
#include "http/parser.h"

namespace {

using lmsb::http::ResponseParser;
using lmsb::http::Stage;

bool is_over(const ResponseParser& parser) {
  return parser.stage() == Stage::complete || parser.stage() == Stage::failed;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  lmsb::fuzz::Input input(data, size);
  const std::uint8_t flags = input.octet();
  const std::size_t step = 1 + flags / 2U;
  lmsb::http::ParserLimits limits;
  limits.header = lmsb::Bytes(1024);
  limits.body = lmsb::Bytes(2048);
  ResponseParser parser(limits, (flags & 1U) != 0);
  const std::string_view text = input.rest();
  std::size_t begin = 0;
  std::size_t end = 0;
  while (!is_over(parser)) {
    const std::size_t used = parser.feed(text.substr(begin, end - begin));
    LMSB_ASSERT(used <= end - begin);
    begin += used;
    if (end == text.size() && used == 0) break;
    end = std::min(end + step, text.size());
  }
  if (!is_over(parser)) parser.feed_end();
  LMSB_ASSERT(parser.response().body.size() <= 2048);
  if (parser.stage() == Stage::failed) LMSB_ASSERT(!parser.error().message().empty());
  return 0;
}
