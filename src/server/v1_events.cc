// GET /v1/events: what happens to sandboxes, snapshots, volumes and keys, as events.
#include <utility>

#include "base/text.h"
#include "server/event_stream.h"
#include "server/query_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::Control;
using control::Event;

void write_event(json::Writer& out, const Event& event) {
  out.key("type").string(event.type);
  string_or_null(out.key("id"), event.number > 0 ? std::to_string(event.number) : "");
  out.key("time").string(event.time);
  string_or_null(out.key("sandbox_id"), event.sandbox);
  if (event.kind() != "sandbox") string_or_null(out.key(std::string(event.kind()) + "_id"), event.subject);
  string_or_null(out.key("name"), event.name);
  string_or_null(out.key("by"), event.by);
  if (event.outcome.empty()) return;
  out.key("outcome").string(event.outcome).key("exit_code");
  event.exit_code < 0 ? out.null() : out.integer(event.exit_code);
}

StreamEvent event_of(const control::EventStream::Next& next) {
  json::Writer out;
  out.begin_object();
  write_event(out, next.event);
  out.key("missed").unsigned_integer(next.missed).end_object();
  return {std::move(out).str(), next.event.type, next.event.number > 0 ? std::to_string(next.event.number) : ""};
}

// Who reads this misses nothing that happens from now on.
StreamEvent armed_event(const control::EventStream& stream) {
  json::Writer out;
  out.begin_object().key("type").string("armed").key("id").string(stream.position());
  out.key("restarted").boolean(stream.has_restarted()).end_object();
  return {std::move(out).str(), "armed", stream.position()};
}

// Before what comes next there were events that he is not told. Its id is none: who comes back learns it again.
StreamEvent lost_event(std::optional<std::uint64_t> count) {
  json::Writer out;
  out.begin_object().key("type").string("lost").key("missed");
  count ? out.unsigned_integer(*count) : out.null();
  out.end_object();
  return {std::move(out).str(), "lost", ""};
}

class Events final : public EventSequence {
 public:
  explicit Events(std::unique_ptr<control::EventStream> stream) : stream_(std::move(stream)) {}

  io::Task<std::optional<StreamEvent>> next(io::Deadline deadline) override {
    if (!std::exchange(is_armed_, true)) co_return begin();
    if (waiting_) co_return std::exchange(waiting_, std::nullopt);
    LMSB_CO_TRY(const auto next, co_await stream_->next(deadline));
    const bool is_news = next.missed > 0 && !is_told_lost_;
    is_told_lost_ = false;
    if (!is_news) co_return event_of(next);
    waiting_ = event_of(next);
    co_return lost_event(next.missed);
  }

 private:
  StreamEvent begin() {
    if (const auto lost = stream_->lost()) {
      waiting_ = lost_event(lost->count);
      is_told_lost_ = true;
    }
    return armed_event(*stream_);
  }

  std::unique_ptr<control::EventStream> stream_;
  std::optional<StreamEvent> waiting_;  // what comes next
  bool is_armed_ = false;
  bool is_told_lost_ = false;  // what the next event says that was missed
};

// `after`, or what a browser's EventSource sends when it comes back: the number that an event had as its id.
Result<std::optional<std::string>> after_of(const http::Request& request) {
  const auto named = request.query.find("after");
  if (named == request.query.end()) {  // of who knows no other answer than events: what is none has been lost
    const auto last = request.headers.find("Last-Event-ID");
    return last ? std::optional<std::string>(*last) : std::nullopt;
  }
  const std::string& after = named->second;
  if (number_of(request.query, "after", 0, UINT64_MAX).ok()) return std::optional<std::string>(after);
  return invalid_query("after " + quoted(after) + " is no event's id",
                       "send the id of the last event that came as it is, 0 for all that is kept, or leave it out");
}

io::Task<http::Response> events(Control& control, Call call) {
  LMSB_CO_CHECK(check_names(call.request.query, {"sandbox", "after", "processes"}));
  control::FollowEvents asked;
  LMSB_CO_TRY(asked.after, after_of(call.request));
  LMSB_CO_TRY(asked.processes, flag_of(call.request.query, "processes", false));
  const auto named = call.request.query.find("sandbox");
  if (named != call.request.query.end()) asked.sandbox = named->second;
  const AnswerFormat format = wanted_format(call.request.headers, AnswerFormat::sse);
  LMSB_CO_TRY(auto stream, control.events(std::move(call.who), std::move(asked)));
  http::Response response = event_answer(std::make_unique<Events>(std::move(stream)),
                                         format == AnswerFormat::json ? AnswerFormat::ndjson : format);
  response.is_endless = true;
  co_return response;
}

}  // namespace

void add_event_routes(RouteTable& table, Control& control) {
  table.add_asking("GET", "/v1/events", [&control](Call call) { return events(control, std::move(call)); });
}

}  // namespace lmsb::server
