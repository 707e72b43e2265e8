// GET /v1/events: what happens to sandboxes, as events.
#include <utility>

#include "server/event_stream.h"
#include "server/query_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;
using control::SandboxEvent;

StreamEvent event_of(const control::EventStream::Next& next) {
  const SandboxEvent& event = next.event;
  const std::string type = "sandbox." + std::string(to_string(event.kind));
  json::Writer out;
  out.begin_object().key("type").string(type).key("id").string(event.id).key("time").string(event.time);
  out.key("sandbox_id").string(event.sandbox);
  string_or_null(out.key("name"), event.name);
  out.key("by").string(event.by).key("missed").unsigned_integer(next.missed).end_object();
  return {std::move(out).str(), type, event.id};
}

// Who reads this misses nothing that happens from now on.
StreamEvent armed_event(const control::EventStream& stream) {
  json::Writer out;
  out.begin_object().key("type").string("armed").key("id").string(stream.position());
  out.key("restarted").boolean(stream.has_restarted()).end_object();
  return {std::move(out).str(), "armed", stream.position()};
}

class SandboxEvents final : public EventSequence {
 public:
  explicit SandboxEvents(std::unique_ptr<control::EventStream> stream) : stream_(std::move(stream)) {}

  io::Task<std::optional<StreamEvent>> next(io::Deadline deadline) override {
    if (!std::exchange(is_armed_, true)) co_return armed_event(*stream_);
    LMSB_CO_TRY(const auto next, co_await stream_->next(deadline));
    co_return event_of(next);
  }

 private:
  std::unique_ptr<control::EventStream> stream_;
  bool is_armed_ = false;
};

// `after`, or what a browser's EventSource sends when it comes back.
std::optional<std::string> after_of(const http::Request& request) {
  const auto named = request.query.find("after");
  if (named != request.query.end()) return named->second;
  const auto last = request.headers.find("Last-Event-ID");
  return last ? std::optional<std::string>(*last) : std::nullopt;
}

io::Task<http::Response> events(Control& control, Call call) {
  LMSB_CO_CHECK(check_names(call.request.query, {"sandbox", "after"}));
  auto after = after_of(call.request);
  const auto named = call.request.query.find("sandbox");
  std::string sandbox = named == call.request.query.end() ? std::string() : named->second;
  const AnswerFormat format = wanted_format(call.request.headers, AnswerFormat::sse);
  LMSB_CO_TRY(auto stream, control.events(std::move(call.who), std::move(sandbox), std::move(after)));
  http::Response response = event_answer(std::make_unique<SandboxEvents>(std::move(stream)),
                                         format == AnswerFormat::json ? AnswerFormat::ndjson : format);
  response.is_endless = true;
  co_return response;
}

}  // namespace

void add_event_routes(RouteTable& table, Control& control) {
  table.add("GET", "/v1/events", [&control](Call call) { return events(control, std::move(call)); });
}

}  // namespace lmsb::server
