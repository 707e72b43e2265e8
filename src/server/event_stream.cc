#include "server/event_stream.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>

#include "base/assert.h"
#include "http/body.h"
#include "server/accept.h"
#include "server/answers.h"

namespace lmsb::server {
namespace {

constexpr std::chrono::seconds kKeepAlive{15};
constexpr std::string_view kComment = ": keep-alive\n\n";

// In the order of AnswerFormat.
constexpr std::array<std::string_view, 3> kTypes = {"application/json", "application/x-ndjson", "text/event-stream"};

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
  const auto chosen = most_wanted(headers, kTypes, static_cast<std::size_t>(otherwise));
  return chosen ? static_cast<AnswerFormat>(*chosen) : otherwise;
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
