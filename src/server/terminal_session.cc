#include "server/terminal_session.h"

#include <utility>

#include "io/spawn.h"
#include "json/reader.h"
#include "server/exec_result.h"
#include "server/process_events.h"
#include "server/v1_fields.h"

namespace lmsb::server {
namespace {

using control::CommandEvent;
using control::Stream;

constexpr std::uint16_t kBadMessage = 1008;  // RFC 6455: against the policy of who takes it

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
  bool is_taken = false;  // what is typed here counts no more
};

// What a text of the client's asks for; nothing when it is none that we know. 0 x 0: a window that has no such size as
// a terminal may have, as one that is not shown yet.
std::optional<control::TerminalSize> parse_resize(const std::string& text) {
  json::ParseFault fault;
  const auto document = json::Document::parse(text, fault);
  if (!document) return std::nullopt;
  json::Faults faults;
  json::ObjectReader reader(document->root(), faults);
  std::string type;
  control::TerminalSize size{0, 0};
  reader.string("type", type, json::Need::required);
  if (!faults.empty() || type != "resize") return std::nullopt;
  read_terminal_size(reader, size);
  const bool is_size = faults.empty() && size.columns > 0 && size.rows > 0;
  return is_size ? size : control::TerminalSize{0, 0};
}

Error not_understood() {
  return Error(ErrorCode::unsupported, R"(a text has to be {"type":"resize","cols":120,"rows":40})");
}

std::uint16_t close_code(const Error& error) {
  if (error.slug() == "sandbox_paused") return kSandboxPaused;
  return error.code() == ErrorCode::unsupported ? kBadMessage : kProcessGone;
}

// For a terminal in raw mode, where a line break is no more than that.
std::string shown(CommandEvent event) {
  if (event.stream == Stream::err && event.data.ends_with('\n')) event.data.replace(event.data.size() - 1, 1, "\r\n");
  return std::move(event.data);
}

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

// Where to go on: who says more than the terminal has shown has no more than that.
io::Task<std::uint64_t> beginning_of(std::shared_ptr<Shared> shared) {
  if (shared->offset == 0) co_return std::uint64_t{0};
  control::OutputAsked asked;
  asked.offset = shared->offset;
  LMSB_CO_TRY(const auto piece,
              co_await shared->processes.output(shared->who, shared->sandbox(), shared->process(), asked));
  co_return std::min(shared->offset, piece.end);
}

io::Task<void> show_all(std::shared_ptr<Shared> shared, http::WebSocket& socket) {
  LMSB_CO_TRY(const std::uint64_t beginning, co_await beginning_of(shared));
  control::FollowFrom from;
  from.offsets[static_cast<std::size_t>(Stream::out)] = beginning;
  from.offsets[static_cast<std::size_t>(Stream::err)] = 0;  // what a shell would say of a program that is not there
  LMSB_CO_TRY(const auto stream, shared->processes.follow(shared->who, shared->sandbox(), shared->process(), from));
  while (true) {
    LMSB_CO_TRY(auto event, co_await stream->next(io::Deadline::never()));
    if (!event) co_return Status();
    auto message = event->kind == CommandEvent::Kind::result ? http::WebSocketMessage::text(result_text(*event->result))
                                                             : http::WebSocketMessage::binary(shown(*std::move(event)));
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
  shared->is_taken = taken.ok();
  if (taken.ok()) (void)co_await socket.close(kTerminalTaken, "somebody else has taken the terminal");
}

class TerminalSession final : public http::WebSocketSession {
 public:
  explicit TerminalSession(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

  io::Always<void> run(http::WebSocket socket) override {
    const auto shared = shared_;
    io::Canceller showing;
    io::Canceller waiting;
    co_await io::spawn_here(show(shared, socket), showing);
    co_await io::spawn_here(wait_taken(shared, socket), waiting);
    Status typed;
    while (typed.ok()) {
      auto message = co_await socket.read();
      if (!message.ok() || !*message) break;
      typed = co_await take(shared, **std::move(message));
    }
    if (!typed.ok()) {
      const std::uint16_t code = close_code(typed.error());
      std::string why = typed.error().message();
      (void)co_await socket.close(code, std::move(why));
    }
    // Neither stays behind: the one would wait for output, the other for the next who takes the terminal.
    showing.cancel();
    waiting.cancel();
  }

 private:
  // What the client sends. Errors: what is typed could not be handed on.
  static io::Task<void> take(std::shared_ptr<Shared> shared, http::WebSocketMessage message) {
    if (shared->is_taken) co_return Status();
    if (message.is_text) {
      const auto size = parse_resize(message.data);
      if (!size) co_return not_understood();
      if (size->columns == 0) co_return Status();
      (void)shared->processes.resize(shared->who, shared->sandbox(), shared->process(), *size);
      co_return Status();
    }
    Status written = co_await shared->processes.write_stdin(shared->who, shared->sandbox(), shared->process(),
                                                            std::move(message.data), false);
    // An ended process takes nothing more: its result is on the way.
    if (!written.ok() && written.error().slug() == "input_closed") co_return Status();
    co_return written;
  }

  std::shared_ptr<Shared> shared_;
};

}  // namespace

std::shared_ptr<http::WebSocketSession> make_terminal_session(control::ProcessService& processes,
                                                              control::Principal who, control::TerminalHolder holder,
                                                              std::uint64_t offset) {
  auto shared = std::make_shared<Shared>(processes, std::move(who), std::move(holder), offset);
  return std::make_shared<TerminalSession>(std::move(shared));
}

}  // namespace lmsb::server
