#include "server/terminal_session.h"

#include <utility>

#include "io/spawn.h"
#include "json/reader.h"
#include "server/exec_result.h"
#include "server/process_events.h"

namespace lmsb::server {
namespace {

using control::CommandEvent;
using control::Stream;

// What the three tasks of a session share: one reads what is typed, one shows, one waits for somebody else.
struct Shared {
  Shared(control::ProcessService& p, control::Principal w, control::TerminalHolder h, std::uint64_t o)
      : processes(p), who(std::move(w)), holder(std::move(h)), offset(o) {}
  const std::string& sandbox() const { return holder.process.sandbox_id; }
  const std::string& process() const { return holder.process.id; }

  control::ProcessService& processes;
  control::Principal who;
  control::TerminalHolder holder;
  std::uint64_t offset;
};

std::string started_text(const control::ProcessInfo& process) {
  json::Writer out;
  out.begin_object().key("type").string("started").key("process");
  write_process(out, process);
  out.end_object();
  return std::move(out).str();
}

std::string result_text(const control::ExecResult& result) {
  json::Writer out;
  out.begin_object().key("type").string("result");
  write_ending_fields(out, result);
  out.end_object();
  return std::move(out).str();
}

io::Task<void> show_all(std::shared_ptr<Shared> shared, http::WebSocket& socket) {
  control::FollowFrom from;
  from.offsets[static_cast<std::size_t>(Stream::out)] = shared->offset;
  LMSB_CO_TRY(const auto stream, shared->processes.follow(shared->who, shared->sandbox(), shared->process(), from));
  while (true) {
    LMSB_CO_TRY(auto event, co_await stream->next(io::Deadline::never()));
    if (!event) co_return Status();
    auto message = event->kind == CommandEvent::Kind::result ? http::WebSocketMessage::text(result_text(*event->result))
                                                             : http::WebSocketMessage::binary(std::move(event->data));
    LMSB_CO_CHECK(co_await socket.send(std::move(message)));
  }
}

io::Always<void> show(std::shared_ptr<Shared> shared, http::WebSocket socket) {
  auto started = http::WebSocketMessage::text(started_text(shared->holder.process));
  Status shown = co_await socket.send(std::move(started));
  if (shown.ok()) shown = co_await show_all(shared, socket);
  std::uint16_t code = http::CloseReason::kNormal;
  std::string why;
  if (!shown.ok() && shown.error().code() != ErrorCode::cancelled) {
    code = kProcessGone;
    why = shown.error().message();
  }
  (void)co_await socket.close(code, std::move(why));
}

io::Always<void> wait_taken(std::shared_ptr<Shared> shared, http::WebSocket socket) {
  const Status taken = co_await shared->processes.wait_taken(shared->who, shared->sandbox(), shared->holder);
  if (taken.ok()) (void)co_await socket.close(kTerminalTaken, "somebody else has taken the terminal");
}

class TerminalSession final : public http::WebSocketSession {
 public:
  explicit TerminalSession(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  io::Always<void> run(http::WebSocket socket) override {
    const auto shared = shared_;
    co_await io::spawn_here(show(shared, socket));
    co_await io::spawn_here(wait_taken(shared, socket));
    while (true) {
      auto message = co_await socket.read();
      if (!message.ok() || !*message) co_return;
      if (!(*message)->is_text) {
        // An ended process takes nothing more: its result is on the way.
        (void)co_await shared->processes.write_stdin(shared->who, shared->sandbox(), shared->process(),
                                                     std::move((*message)->data), false);
      } else if (const auto size = parse_resize((*message)->data)) {
        (void)shared->processes.resize(shared->who, shared->sandbox(), shared->process(), *size);
      }
    }
  }

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace

std::optional<control::TerminalSize> parse_resize(const std::string& text) {
  json::ParseFault fault;
  const auto document = json::Document::parse(text, fault);
  if (!document) return std::nullopt;
  json::Faults faults;
  json::ObjectReader reader(document->root(), faults);
  constexpr std::int64_t kMax = 10'000;
  std::string type;
  std::int64_t columns = 0;
  std::int64_t rows = 0;
  reader.string("type", type, json::Need::required);
  reader.integer("cols", columns, 1, kMax);
  reader.integer("rows", rows, 1, kMax);
  if (!faults.empty() || type != "resize" || columns == 0 || rows == 0) return std::nullopt;
  return control::TerminalSize{static_cast<std::uint16_t>(columns), static_cast<std::uint16_t>(rows)};
}

std::shared_ptr<http::WebSocketSession> make_terminal_session(control::ProcessService& processes,
                                                              control::Principal who, control::TerminalHolder holder,
                                                              std::uint64_t offset) {
  auto shared = std::make_shared<Shared>(processes, std::move(who), std::move(holder), offset);
  return std::make_shared<TerminalSession>(std::move(shared));
}

}  // namespace lmsb::server
