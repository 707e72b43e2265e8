// GET /v1/sandboxes/{id}/files/watch: what happens in a directory, as events.
#include "control/files.h"
#include "server/event_stream.h"
#include "server/file_fields.h"
#include "server/v1_routes.h"

namespace lmsb::server {
namespace {

using control::FileEvent;
using control::Files;

StreamEvent simple_event(const std::string& type) {
  json::Writer out;
  out.begin_object().key("type").string(type).end_object();
  return {std::move(out).str(), type, {}};
}

// The watching has ended before its directory did.
StreamEvent failed_event(const Error& error) {
  json::Writer out;
  out.begin_object().key("type").string("failed").key("code").string(error.slug());
  out.key("message").string(error.message());
  string_or_null(out.key("hint"), hint_of(error));
  out.end_object();
  return {std::move(out).str(), "failed", {}};
}

// Nothing came yet, or the client has gone.
bool is_of_the_wait(ErrorCode code) { return code == ErrorCode::deadline_exceeded || code == ErrorCode::cancelled; }

StreamEvent event_of(const FileEvent& event) {
  const std::string type(to_string(event.kind));
  json::Writer out;
  out.begin_object().key("type").string(type);
  write_path(out, "path", event.path);
  out.key("directory").boolean(event.is_directory).end_object();
  return {std::move(out).str(), type, {}};
}

class FileEvents final : public EventSequence {
 public:
  explicit FileEvents(std::unique_ptr<control::FileWatch> watch) : watch_(std::move(watch)) {}

  io::Task<std::optional<StreamEvent>> next(io::Deadline deadline) override {
    if (!std::exchange(is_armed_, true)) co_return simple_event("armed");
    if (is_over_) co_return std::optional<StreamEvent>();
    const auto event = co_await watch_->next(deadline);
    if (!event.ok() && is_of_the_wait(event.error().code())) co_return Error(event.error());
    if (event.ok() && *event) co_return event_of(**event);
    is_over_ = true;
    if (!event.ok()) co_return failed_event(event.error());
    co_return simple_event("gone");
  }

 private:
  std::unique_ptr<control::FileWatch> watch_;
  bool is_armed_ = false;
  bool is_over_ = false;
};

io::Task<http::Response> watch(Files& files, Call call) {
  FileQuery query(call.request.query);
  control::WatchFiles request;
  request.at.sandbox = call.request.params["id"];
  LMSB_CO_CHECK(query.take_path(request.at.path));
  LMSB_CO_CHECK(query.take_flag("recursive", request.recursive));
  LMSB_CO_CHECK(query.finish());
  const AnswerFormat format = wanted_format(call.request.headers, AnswerFormat::sse);
  LMSB_CO_TRY(auto watch, co_await files.watch(std::move(call.who), std::move(request)));
  http::Response response = event_answer(std::make_unique<FileEvents>(std::move(watch)),
                                         format == AnswerFormat::json ? AnswerFormat::ndjson : format);
  response.is_endless = true;
  co_return response;
}

}  // namespace

void add_file_watch_routes(RouteTable& table, control::Control& control) {
  Files& files = control.files();
  table.add_asking("GET", "/v1/sandboxes/{id}/files/watch",
                   [&files](Call call) { return with_file_statuses(watch(files, std::move(call))); });
}

}  // namespace lmsb::server
