#include "cli/terminal_session.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <memory>
#include <optional>
#include <sys/signalfd.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include "cli/exit_status.h"
#include "cli/requests.h"
#include "cli/terminal.h"
#include "http/websocket.h"
#include "io/event.h"
#include "io/spawn.h"
#include "io/wait_fd.h"
#include "json/writer.h"

namespace lmsb::cli {
namespace {

constexpr std::uint16_t kTaken = 4001;  // somebody else has the terminal now

std::string resize_text() {
  const WindowSize size = window_size();
  json::Writer out;
  out.begin_object().key("type").string("resize");
  out.key("cols").unsigned_integer(size.columns).key("rows").unsigned_integer(size.rows).end_object();
  return std::move(out).str();
}

// What two tasks send through, one at a time.
class Outlet {
 public:
  Outlet(boost::asio::io_context& loop, http::WebSocket socket) : socket_(std::move(socket)), free_(loop) {}
  io::Task<void> send(http::WebSocketMessage message) {
    while (is_busy_) LMSB_CO_CHECK(co_await free_.wait());
    is_busy_ = true;
    const Status sent = co_await socket_.send(std::move(message));
    is_busy_ = false;
    free_.notify_one();
    co_return sent;
  }

 private:
  http::WebSocket socket_;
  io::Event free_;
  bool is_busy_ = false;
};

// What is typed goes out until stdin ends or the session does. The terminal is shared with whoever started us, so it is
// not made non-blocking: it is read when there is something.
io::Always<void> type(std::shared_ptr<Outlet> outlet) {
  while (true) {
    const Status readable = co_await io::wait_readable(BorrowedFd(STDIN_FILENO));
    if (!readable.ok()) co_return;
    std::array<char, 4096> keys{};
    const ssize_t n = ::read(STDIN_FILENO, keys.data(), keys.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) co_return;
    auto message = http::WebSocketMessage::binary(std::string(keys.data(), static_cast<std::size_t>(n)));
    const Status sent = co_await outlet->send(std::move(message));
    if (!sent.ok()) co_return;
  }
}

// The size of the terminal here is that of the terminal there, also when it changes.
io::Always<void> follow_size(std::shared_ptr<Outlet> outlet, BorrowedFd changes) {
  while (true) {
    const Status changed = co_await io::wait_readable(changes);
    if (!changed.ok()) co_return;
    signalfd_siginfo info{};
    (void)!::read(changes.get(), &info, sizeof info);
    auto message = http::WebSocketMessage::text(resize_text());
    const Status sent = co_await outlet->send(std::move(message));
    if (!sent.ok()) co_return;
  }
}

// Shows what comes; returns the exit status.
io::Always<int> show(http::WebSocket socket, Console* console) {
  int status = kOurFailure;
  bool has_ended = false;
  while (true) {
    auto message = co_await socket.read();
    if (!message.ok()) {
      note(*console, "the connection was lost: " + message.error().message() + "; lm-sandbox attach takes it up again");
      co_return kOurFailure;
    }
    if (!*message) break;
    if (!(*message)->is_text) {
      console->out((*message)->data);
      continue;
    }
    const auto event = parse_json((*message)->data, "an event of the daemon");
    if (!event.ok() || text_field(event->root(), "type") != "result") continue;
    has_ended = true;
    status = exit_status_of(event->root());
    note_end(event->root(), *console);
  }
  const auto reason = socket.close_reason();
  if (!has_ended)
    note(*console, reason.code == kTaken || !reason.text.empty() ? reason.text : "the session was closed");
  co_return status;
}

io::Task<int> converse(boost::asio::io_context* loop, http::Endpoint endpoint, http::ClientRequest request,
                       BorrowedFd changes, Console* console) {
  LMSB_CO_TRY(auto opening, co_await http::open_web_socket(std::move(endpoint), std::move(request)));
  if (!opening.socket) co_return error_of({opening.refusal.status, std::move(opening.refusal.body)});
  const http::WebSocket socket = *opening.socket;
  const auto outlet = std::make_shared<Outlet>(*loop, socket);
  co_await io::spawn_here(type(outlet));
  co_await io::spawn_here(follow_size(outlet, changes));
  const int status = co_await show(socket, console);
  co_return status;
}

// Ends when the conversation has, whatever else still waits for keys.
Result<int> run_session(const http::Endpoint& endpoint, http::ClientRequest request, int changes, Console& console) {
  boost::asio::io_context loop(1);
  std::optional<Result<int>> result;
  static constexpr auto kRun = [](boost::asio::io_context* own, io::Task<int> task,
                                  std::optional<Result<int>>* out) -> io::Always<void> {
    out->emplace(co_await std::move(task));
    own->stop();
  };
  io::spawn(loop, kRun(&loop, converse(&loop, endpoint, std::move(request), BorrowedFd(changes), &console), &result));
  loop.run();
  return *std::move(result);
}

int run_in_child(const Connection& connection, const std::string& target, Console& console) {
  sigset_t changes;
  ::sigemptyset(&changes);
  ::sigaddset(&changes, SIGWINCH);
  ::sigprocmask(SIG_BLOCK, &changes, nullptr);
  const UniqueFd resized(::signalfd(-1, &changes, SFD_CLOEXEC | SFD_NONBLOCK));
  const RawMode raw;
  const auto status =
      run_session(connection.endpoint(), connection.request_of(Call("GET", target)), resized.get(), console);
  if (status.ok()) return *status;
  report(console, status.error());
  return kOurFailure;
}

}  // namespace

Result<int> join_terminal(const Connection& connection, const std::string& sandbox, const std::string& process,
                          Console& console) {
  const WindowSize size = window_size();
  const std::string target = "/v1/sandboxes/" + url_segment(sandbox) + "/pty?process=" + url_segment(process) +
                             "&cols=" + std::to_string(size.columns) + "&rows=" + std::to_string(size.rows);
  return run_guarded([&] { return run_in_child(connection, target, console); });
}

}  // namespace lmsb::cli
