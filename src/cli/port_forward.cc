#include "cli/port_forward.h"

#include <cerrno>
#include <csignal>
#include <list>
#include <memory>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include "cli/interrupts.h"
#include "cli/values.h"
#include "http/client.h"
#include "http/listener.h"
#include "io/event.h"
#include "io/spawn.h"
#include "io/tunnel.h"
#include "io/wait_fd.h"
#include "json/writer.h"
#include "os/end_with_parent.h"

namespace lmsb::cli {
namespace {

constexpr std::size_t kMaxConnections = 256;
constexpr std::chrono::milliseconds kOutOfDescriptors{100};  // until some are free again

Result<http::Listener> listen(std::uint16_t port) {
  auto listener = http::make_tcp_listener("127.0.0.1:" + std::to_string(port));
  if (listener.ok() || listener.error().code() != ErrorCode::already_exists) return listener;
  return Error(ErrorCode::already_exists, listener.error().message())
      .with_hint("take another one, HOST:GUEST, or any that is free, 0:GUEST");
}

std::string tunnel_to(const std::string& sandbox, std::uint16_t port) {
  return sandbox_url(sandbox) + "/tunnel?port=" + std::to_string(port);
}

void say_where(const PortForward& forward, const std::string& address, bool json, Console& console) {
  if (!json) return console.out(address + " -> " + std::to_string(forward.guest) + "\n");
  json::Writer out;
  out.begin_object().key("address").string(address).key("sandbox").string(forward.sandbox);
  out.key("port").unsigned_integer(forward.guest).end_object();
  console.out(std::move(out).str() + "\n");
}

// Everything that runs until Ctrl-C; of forward_port()'s frame, as what it refers to.
class Forwarder {
 public:
  Forwarder(boost::asio::io_context& loop, const Connection& connection, std::string target, BorrowedFd listener,
            Console& console)
      : loop_(loop),
        connection_(connection),
        target_(std::move(target)),
        listener_(listener),
        console_(console),
        ended_(loop) {}

  static io::Always<void> accept_all(Forwarder* self) {
    io::FdWatch watch(self->loop_.get_executor(), self->listener_);
    while (true) {
      while (self->open_ >= kMaxConnections) (void)co_await self->ended_.wait();
      const Status readable = co_await watch.readable();
      if (!readable.ok()) co_return self->give_up(readable.error());
      UniqueFd client(::accept4(self->listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
      if (!client) {
        const int error = errno;
        if (error == EAGAIN || error == EINTR || error == ECONNABORTED) continue;
        if (error != EMFILE && error != ENFILE && error != ENOBUFS && error != ENOMEM)
          co_return self->give_up(Error::from_errno(error, "accept a connection"));
        self->complain(Error::from_errno(error, "accept a connection"));
        (void)co_await io::sleep_until(io::Deadline::in(kOutOfDescriptors));
      } else {
        ++self->open_;
        io::spawn(self->loop_, carry(self, std::move(client)));
      }
    }
  }

  // How it ended: well, unless it can accept nothing more.
  const Status& end() const { return end_; }

 private:
  void give_up(Error error) {
    end_ = std::move(error);
    loop_.stop();
  }

  static io::Always<void> carry(Forwarder* self, UniqueFd client) {
    auto opening = co_await http::open_upgrade(self->connection_.endpoint(), self->request());
    if (!opening.ok()) {
      self->complain(opening.error());
    } else if (!opening->connection) {
      self->complain(error_of({opening->refusal.status, std::move(opening->refusal.body)}));
    } else {
      io::TunnelEnd near(io::HeldSocket(std::move(client)), std::string());
      co_await io::carry(std::move(near), *std::move(opening->connection));
    }
    --self->open_;
    self->ended_.notify_all();
  }

  http::ClientRequest request() const {
    http::ClientRequest request = connection_.request_of(Call("GET", target_));
    request.upgrade = "tcp";
    return request;
  }

  // A browser tries again and again: the same is said once.
  void complain(const Error& error) {
    if (error.message() == last_complaint_) return;
    last_complaint_ = error.message();
    report(console_, error);
  }

  boost::asio::io_context& loop_;
  const Connection& connection_;
  const std::string target_;
  const BorrowedFd listener_;  // of forward_port()'s frame
  Console& console_;
  std::size_t open_ = 0;
  io::Event ended_;
  std::string last_complaint_;
  Status end_;
};

io::Always<void> stop_when_readable(boost::asio::io_context* loop, BorrowedFd fd) {
  (void)co_await io::wait_readable(fd);
  loop->stop();
}

}  // namespace

Status forward_port(const Connection& connection, const PortForward& forward, bool json, Console& console) {
  LMSB_TRY(const http::Listener listener, listen(forward.host));
  const Interrupts interrupts;
  boost::asio::io_context loop(1);
  Forwarder forwarder(loop, connection, tunnel_to(forward.sandbox, forward.guest), listener.fd, console);
  io::spawn(loop, Forwarder::accept_all(&forwarder));
  io::spawn(loop, stop_when_readable(&loop, interrupts.fd()));
  say_where(forward, listener.address, json, console);
  loop.run();
  return forwarder.end();
}

Result<std::unique_ptr<PortsForwarded>> PortsForwarded::bind(const std::vector<PortFlag>& ports, Console& console) {
  std::unique_ptr<PortsForwarded> bound(new PortsForwarded());
  for (const PortFlag& port : ports) {
    LMSB_TRY(auto listener, listen(port.host));
    if (port.host == 0) note(console, listener.address + " -> " + std::to_string(port.guest));
    bound->ports_.push_back({std::move(listener), port.guest});
  }
  return bound;
}

Status PortsForwarded::lead_to(const Connection& connection, const std::string& sandbox) {
  if (ports_.empty()) return {};
  const pid_t parent = ::getpid();
  process_ = ::fork();
  if (process_ < 0) return Error::from_errno(errno, "start what leads ports there");
  if (process_ > 0) return {};
  const bool is_wanted = os::end_with_parent(parent, SIGTERM);
  for (const int signal : {SIGINT, SIGQUIT, SIGHUP}) ::signal(signal, SIG_IGN);  // our parent hears of them
  sigset_t none;
  sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (is_wanted) serve(connection, sandbox);
  ::_exit(0);
}

// Until the process is ended.
void PortsForwarded::serve(const Connection& connection, const std::string& sandbox) const {
  StandardConsole console;
  boost::asio::io_context loop(1);
  std::list<Forwarder> forwarders;
  for (const Port& port : ports_) {
    forwarders.emplace_back(loop, connection, tunnel_to(sandbox, port.guest), port.listener.fd, console);
    io::spawn(loop, Forwarder::accept_all(&forwarders.back()));
  }
  loop.run();
  for (const Forwarder& forwarder : forwarders)
    if (!forwarder.end().ok()) report(console, forwarder.end().error());
}

PortsForwarded::~PortsForwarded() {
  if (process_ <= 0) return;
  (void)::kill(process_, SIGTERM);
  while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace lmsb::cli
