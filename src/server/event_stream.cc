#include "server/event_stream.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include "base/assert.h"
#include "base/text.h"
#include "http/body.h"
#include "server/answers.h"

namespace lmsb::server {
namespace {

constexpr std::chrono::seconds kKeepAlive{15};
constexpr std::string_view kComment = ": keep-alive\n\n";

struct Format {
  std::string_view type;
  AnswerFormat format;
};
constexpr std::array kFormats = {Format{"application/json", AnswerFormat::json},
                                 Format{"application/x-ndjson", AnswerFormat::ndjson},
                                 Format{"text/event-stream", AnswerFormat::sse}};

// Takes what stands before `separator` off `text`.
std::string_view take(std::string_view& text, char separator) {
  const std::string_view item = text.substr(0, text.find(separator));
  text.remove_prefix(std::min(item.size() + 1, text.size()));
  return trim(item);
}

// "0.5" as thousandths; what is not a weight counts for nothing.
int thousandths(std::string_view text) {
  if (text.starts_with('1')) return 1000;
  if (!text.starts_with("0.")) return 0;
  int weight = 0;
  for (std::size_t i = 2; i < 5; ++i) {
    const char digit = i < text.size() ? text[i] : '0';
    if (digit < '0' || digit > '9') return 0;
    weight = weight * 10 + (digit - '0');
  }
  return weight;
}

// What "q=" says; 1000 where nothing does.
int weight_of(std::string_view parameters) {
  while (!parameters.empty()) {
    const std::string_view parameter = take(parameters, ';');
    if (http::same_name(parameter.substr(0, 2), "q=")) return thousandths(parameter.substr(2));
  }
  return 1000;
}

std::optional<AnswerFormat> format_of(std::string_view type, AnswerFormat otherwise) {
  if (type == "*/*") return otherwise;
  for (const Format& format : kFormats) {
    if (http::same_name(type, format.type)) return format.format;
  }
  return std::nullopt;
}

// A field's value ends with its line.
void add_field(std::string& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out += name;
  out += value.substr(0, value.find_first_of("\r\n"));
  out += '\n';
}

// As long as its client stays.
class EventSource final : public http::BodySource {
 public:
  EventSource(std::unique_ptr<EventSequence> sequence, AnswerFormat format)
      : sequence_(std::move(sequence)), format_(format) {}

  io::Task<std::string> next() override {
    const auto deadline = format_ == AnswerFormat::sse ? io::Deadline::in(kKeepAlive) : io::Deadline::never();
    auto event = co_await sequence_->next(deadline);
    if (!event.ok() && event.error().code() == ErrorCode::deadline_exceeded) co_return std::string(kComment);
    if (!event.ok()) co_return std::move(event).error();
    if (!event->has_value()) co_return std::string();
    co_return format_event(**event, format_);
  }

 private:
  const std::unique_ptr<EventSequence> sequence_;
  const AnswerFormat format_;
};

}  // namespace

AnswerFormat wanted_format(const http::Headers& headers, AnswerFormat otherwise) {
  std::string_view accept = headers.find("Accept").value_or("");
  AnswerFormat wanted = otherwise;
  int highest = 0;
  while (!accept.empty()) {
    std::string_view item = take(accept, ',');
    const std::optional<AnswerFormat> format = format_of(take(item, ';'), otherwise);
    const int weight = weight_of(item);
    if (!format || weight <= highest) continue;
    wanted = *format;
    highest = weight;
  }
  return wanted;
}

std::string format_event(const StreamEvent& event, AnswerFormat format) {
  if (format == AnswerFormat::ndjson) return event.json + '\n';
  std::string out;
  add_field(out, "event: ", event.name);
  add_field(out, "id: ", event.id);
  out += "data: " + event.json + "\n\n";
  return out;
}

http::Response event_answer(std::unique_ptr<EventSequence> sequence, AnswerFormat format) {
  LMSB_ASSERT(format != AnswerFormat::json);
  return streamed_answer(format == AnswerFormat::sse ? "text/event-stream" : "application/x-ndjson",
                         std::make_shared<EventSource>(std::move(sequence), format));
}

}  // namespace lmsb::server
