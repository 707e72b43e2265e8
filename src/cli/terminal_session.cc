#include "cli/terminal_session.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>
#include <sys/epoll.h>
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

// A descriptor that can be read when stdin can; none where stdin never makes anybody wait (a file). The terminal is
// shared with whoever started us, and what the loop waits on it makes non-blocking: so that is not stdin itself.
UniqueFd watch_stdin() {
  UniqueFd watch(::epoll_create1(EPOLL_CLOEXEC));
  epoll_event readable{};
  readable.events = EPOLLIN;
  if (::epoll_ctl(watch.get(), EPOLL_CTL_ADD, STDIN_FILENO, &readable) < 0) watch.reset();
  return watch;
}

// What is typed goes out until stdin ends or the session does.
io::Always<void> type(std::shared_ptr<Outlet> outlet) {
  const UniqueFd watch = watch_stdin();
  while (true) {
    Status readable;
    if (watch) readable = co_await io::wait_readable(watch);
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

// The size of the terminal here is that of the terminal there, also when it changes. Any other signal ends the session.
io::Always<void> heed_signals(std::shared_ptr<Outlet> outlet, BorrowedFd signals, boost::asio::io_context* loop,
                              int* ended_by) {
  while (true) {
    const Status heard = co_await io::wait_readable(signals);
    if (!heard.ok()) co_return;
    signalfd_siginfo info{};
    if (::read(signals.get(), &info, sizeof info) != sizeof info) continue;
    if (info.ssi_signo != SIGWINCH) {
      *ended_by = static_cast<int>(info.ssi_signo);
      co_return loop->stop();
    }
    auto message = http::WebSocketMessage::text(resize_text());
    const Status sent = co_await outlet->send(std::move(message));
    if (!sent.ok()) co_return;
  }
}

io::Always<void> renew(const Connection* connection, const Renewal* renewal) {
  while (true) {
    const Status waited = co_await io::sleep_until(io::Deadline::in(renewal->every));
    if (!waited.ok()) co_return;
    (void)co_await http::fetch(connection->endpoint(), connection->request_of(renewal->call));
  }
}

// Shows what comes; returns the exit status.
io::Always<int> show(http::WebSocket socket, bool can_be_attached, Console* console) {
  int status = kOurFailure;
  bool has_ended = false;
  while (true) {
    auto message = co_await socket.read();
    if (!message.ok()) {
      const char* const more = can_be_attached ? "; lm-sandbox attach takes it up again" : "";
      note(*console, "the connection was lost: " + message.error().message() + more);
      co_return kOurFailure;
    }
    if (!*message) break;
    if (!(*message)->is_text) {
      console->out((*message)->data);
      if (!console->complete()) co_return kOurFailure;  // nobody sees it any more
      continue;
    }
    const auto event = parse_json((*message)->data, "an event of the daemon");
    if (!event.ok() || text_field(event->root(), "type") != "result") continue;
    has_ended = true;
    status = exit_status_of(event->root());
    note_end(event->root(), *console);
  }
  const auto reason = socket.close_reason();
  if (!has_ended) note(*console, reason.text.empty() ? "the session was closed" : reason.text);
  co_return status;
}

// The signals that end a session, and which of them did.
struct Signals {
  BorrowedFd come;
  int ended_by = 0;
};

io::Task<int> converse(boost::asio::io_context* loop, http::Endpoint endpoint, http::ClientRequest request,
                       Signals* signals, bool can_be_attached, Console* console) {
  LMSB_CO_TRY(auto opening, co_await http::open_web_socket(std::move(endpoint), std::move(request)));
  if (!opening.socket) co_return error_of({opening.refusal.status, std::move(opening.refusal.body)});
  const http::WebSocket socket = *opening.socket;
  const auto outlet = std::make_shared<Outlet>(*loop, socket);
  co_await io::spawn_here(type(outlet));
  co_await io::spawn_here(heed_signals(outlet, signals->come, loop, &signals->ended_by));
  const int status = co_await show(socket, can_be_attached, console);
  co_return status;
}

// Ends when the conversation has, whatever else still waits for keys.
Result<int> run_session(const Connection& connection, const Call& call, const std::optional<Renewal>& renewal,
                        int signals, Console& console) {
  boost::asio::io_context loop(1);
  const http::Endpoint& endpoint = connection.endpoint();
  http::ClientRequest request = connection.request_of(call);
  if (renewal) io::spawn(loop, renew(&connection, &*renewal));
  std::optional<Result<int>> result;
  static constexpr auto kRun = [](boost::asio::io_context* own, io::Task<int> task,
                                  std::optional<Result<int>>* out) -> io::Always<void> {
    out->emplace(co_await std::move(task));
    own->stop();
  };
  const bool can_be_attached = !renewal;  // else it goes with the session
  Signals heeded{BorrowedFd(signals), 0};
  auto session = converse(&loop, endpoint, std::move(request), &heeded, can_be_attached, &console);
  io::spawn(loop, kRun(&loop, std::move(session), &result));
  loop.run();
  if (!result) {
    const char* const name = ::sigabbrev_np(heeded.ended_by);
    note(console, std::string("the session was ended by SIG") + (name != nullptr ? name : "?"));
    return 128 + heeded.ended_by;
  }
  return *std::move(result);
}

int run_in_child(const Connection& connection, const std::string& target, const std::optional<Renewal>& renewal,
                 Console& console) {
  sigset_t heeded;
  ::sigemptyset(&heeded);
  for (const int signal : {SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGQUIT}) ::sigaddset(&heeded, signal);
  ::sigprocmask(SIG_BLOCK, &heeded, nullptr);
  const UniqueFd signals(::signalfd(-1, &heeded, SFD_CLOEXEC | SFD_NONBLOCK));
  const RawMode raw;
  const auto status = run_session(connection, Call("GET", target), renewal, signals.get(), console);
  if (status.ok()) return *status;
  report(console, status.error());
  return kOurFailure;
}

}  // namespace

Result<int> join_terminal(const Connection& connection, const std::string& sandbox, const std::string& process,
                          Console& console, const std::optional<Renewal>& renewal) {
  const WindowSize size = window_size();
  const std::string target = "/v1/sandboxes/" + url_segment(sandbox) + "/pty?process=" + url_segment(process) +
                             "&cols=" + std::to_string(size.columns) + "&rows=" + std::to_string(size.rows);
  return run_guarded([&] { return run_in_child(connection, target, renewal, console); });
}

}  // namespace lmsb::cli
