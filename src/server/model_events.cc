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

// What an event says if it tells of an error: as "data: {"error":...}", behind "event: error" or, from an older server,
// as "error: {...}".
std::string_view error_in(std::string_view event) {
  if (event.starts_with("event: error\n")) return data_of(event);
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

class OpenAiForm final : public EventForm {
 public:
  Passed pass(std::string_view event) override { return {std::string(event), event == "data: [DONE]\n\n"}; }
  std::string say(const Error& error) override {
    return std::string(kData) + error_answer(Dialect::openai, error).body + std::string(kEventEnd);
  }
};

class ModelEvents final : public http::BodySource {
 public:
  ModelEvents(std::shared_ptr<http::BodyReader> octets, std::unique_ptr<EventForm> form)
      : octets_(std::move(octets)), form_(std::move(form)) {}

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
    EventForm::Passed passed = form_->pass(event);
    is_over_ = passed.is_last;
    return std::move(passed.octets);
  }

  std::string last_words(const char* what) {
    return last_words(Error(ErrorCode::unavailable, std::string("the model runner's answer ") + what)
                          .with_slug("runner_failed")
                          .with_hint("send the request again"));
  }
  std::string last_words(const Error& error) {
    is_over_ = true;
    return form_->say(error);
  }

  const std::shared_ptr<http::BodyReader> octets_;
  const std::unique_ptr<EventForm> form_;
  std::string pending_;
  bool is_over_ = false;
};

}  // namespace

std::unique_ptr<EventForm> openai_form() { return std::make_unique<OpenAiForm>(); }

http::Response pass_on_events(std::shared_ptr<http::BodyReader> octets, std::unique_ptr<EventForm> form) {
  const std::string_view type = form->content_type();
  return streamed_answer(type, std::make_shared<ModelEvents>(std::move(octets), std::move(form)));
}

std::string_view data_of(std::string_view event) {
  const std::size_t at = event.starts_with(kData) ? 0 : event.find("\ndata: ");
  if (at == std::string_view::npos) return {};
  event.remove_prefix(at == 0 ? kData.size() : at + 1 + kData.size());
  return event.substr(0, event.find('\n'));
}

std::string with_data(std::string_view event, std::string_view data) {
  const std::string_view old = data_of(event);
  if (old.empty()) return std::string(event);
  const auto at = static_cast<std::size_t>(old.data() - event.data());
  std::string changed(event);
  return changed.replace(at, old.size(), data);
}

}  // namespace lmsb::server
