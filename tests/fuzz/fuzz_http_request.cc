// What a client sends on one connection: any octets, cut into pieces anywhere. Neither how they are cut, nor whether
// bodies are read as they come, must change which requests are understood.
#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "fuzz.h"
#include "http/parser.h"

namespace {

using lmsb::http::RequestParser;
using lmsb::http::Stage;

std::string summary(RequestParser& parser, const std::string& streamed) {
  lmsb::http::Request& request = parser.request();
  std::string text = request.method + '\n' + request.target + '\n' + request.path + '\n';
  for (const auto& [name, value] : request.headers.fields()) text += name + ':' + value + '\n';
  LMSB_ASSERT(request.path.starts_with('/') || request.target == "*");
  return text + (parser.keep_alive() ? "keep\n" : "close\n") + request.body + streamed;
}

void check(const lmsb::http::Refusal& refusal) {
  LMSB_ASSERT(refusal.status >= 400 && refusal.status < 600 && !refusal.detail.empty());
}

lmsb::http::ParserLimits small_limits() {
  lmsb::http::ParserLimits limits;
  limits.header = lmsb::Bytes(1024);
  limits.fields = 16;
  limits.body = lmsb::Bytes(2048);
  return limits;
}

// The requests that come complete. As a connection does: what the parser leaves is given again with `step` octets more
// behind it.
std::vector<std::string> hear(std::string_view input, std::size_t step, bool streams) {
  const lmsb::http::StreamedBody rule = [streams](const lmsb::http::Request&) -> std::optional<lmsb::Bytes> {
    return streams ? std::optional(small_limits().body) : std::nullopt;
  };
  RequestParser parser(small_limits(), &rule);
  std::vector<std::string> heard;
  std::string body;  // as it came
  std::size_t begin = 0;
  std::size_t end = 0;
  while (true) {
    const std::size_t used = parser.feed(input.substr(begin, end - begin));
    LMSB_ASSERT(used <= end - begin);
    begin += used;
    body += parser.take_body();
    LMSB_ASSERT(parser.request().body.size() + body.size() <= 2048);
    LMSB_ASSERT(parser.is_streamed() ? parser.request().body.empty() : body.empty());
    if (parser.stage() == Stage::failed) {
      check(parser.refusal());
      return heard;
    }
    if (parser.stage() == Stage::complete) {
      heard.push_back(summary(parser, std::exchange(body, {})));
      if (!parser.keep_alive()) return heard;
      parser.reset();
      continue;
    }
    if (end == input.size() && used == 0) return heard;
    end = std::min(end + step, input.size());
  }
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 16384) return 0;
  const std::string_view input = lmsb::fuzz::text_of(data + 1, size - 1);
  const std::vector<std::string> heard = hear(input, input.size() + 1, false);
  LMSB_ASSERT(heard == hear(input, 1 + data[0] % 64U, false));
  LMSB_ASSERT(heard == hear(input, 1 + data[0] % 64U, true));
  return 0;
}
