#include "server/model_events.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "control/model_answers.h"
#include "json/value.h"
#include "server/answers.h"

namespace lmsb::server {
namespace {

constexpr std::size_t kMaxEvent = std::size_t{1} << 20U;
constexpr std::string_view kData = "data: ";
constexpr std::string_view kEventEnd = "\n\n";

// What an event says if it tells of an error: as "data: {"error":...}" or, from an older server, as "error: {...}".
std::string_view error_in(std::string_view event) {
  event.remove_suffix(kEventEnd.size());
  if (event.starts_with("error: ")) return event.substr(std::string_view("error: ").size());
  if (event.starts_with("data: {\"error\"")) return event.substr(kData.size());
  return {};
}

// The error that a server means: {"error":{"code",...}}, or its inner part alone.
Error error_of(std::string_view words) {
  json::ParseFault fault;
  const auto document = json::Document::parse(words, fault);
  if (!document) return control::refusal_of(500, std::string(words));
  const auto inner = document->root().find("error");
  const auto code = inner.value_or(document->root()).find("code");
  const std::int64_t status = code ? code->integer().value_or(500) : 500;
  const std::string body = inner ? std::string(words) : "{\"error\":" + std::string(words) + "}";
  return control::refusal_of(status >= 400 && status < 600 ? static_cast<int>(status) : 500, body);
}

class ModelEvents final : public http::BodySource {
 public:
  explicit ModelEvents(std::shared_ptr<http::BodyReader> octets) : octets_(std::move(octets)) {}

  io::Task<std::string> next() override {
    while (!is_over_) {
      auto piece = co_await octets_->read();
      if (!piece.ok() && piece.error().code() == ErrorCode::cancelled) co_return piece;
      std::string events = piece.ok() ? take(*piece) : last_words(piece.error());
      if (!events.empty()) co_return events;
    }
    co_return std::string();
  }

 private:
  // The events that are whole with this piece.
  std::string take(std::string_view piece) {
    if (piece.empty()) return last_words("has broken off");
    const std::size_t looked = pending_.empty() ? 0 : pending_.size() - 1;  // no end before that
    pending_ += piece;
    std::string events;
    std::size_t begin = 0;
    for (std::size_t end = pending_.find(kEventEnd, looked); end != std::string::npos && !is_over_;
         end = pending_.find(kEventEnd, begin)) {
      const std::size_t next = end + kEventEnd.size();
      events += passed_on(std::string_view(pending_).substr(begin, next - begin));
      begin = next;
    }
    pending_.erase(0, begin);
    if (pending_.size() > kMaxEvent && !is_over_) events += last_words("has a part that is too long");
    return events;
  }

  std::string passed_on(std::string_view event) {
    if (const std::string_view error = error_in(event); !error.empty()) return last_words(error_of(error));
    is_over_ = event == "data: [DONE]\n\n";
    return std::string(event);
  }

  std::string last_words(const char* what) {
    return last_words(Error(ErrorCode::unavailable, std::string("the model runner's answer ") + what)
                          .with_slug("runner_failed")
                          .with_hint("send the request again"));
  }
  std::string last_words(const Error& error) {
    is_over_ = true;
    return std::string(kData) + error_answer(Dialect::openai, error).body + std::string(kEventEnd);
  }

  const std::shared_ptr<http::BodyReader> octets_;
  std::string pending_;
  bool is_over_ = false;
};

}  // namespace

http::Response pass_on_events(std::shared_ptr<http::BodyReader> octets) {
  return streamed_answer("text/event-stream", std::make_shared<ModelEvents>(std::move(octets)));
}

}  // namespace lmsb::server
