// Requests that are refused, so many a second: what a stranger costs.
//
//     refused PORT CONNECTIONS SECONDS RATE keep|new (STATUS REQUEST)...
//
// The requests take turns; each must be answered with its status. `keep`: on connections that are kept, as far as the
// server keeps them; `new`: each on one of its own. RATE is requests a second over all connections, 0 = as fast as
// answers come. A request counts from the moment it was due. One thread, one epoll. Prints JSON: milliseconds of an
// answer, answers a second, those with another status, connections that were made, CPU of this program.
#include <arpa/inet.h>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "samples.h"

namespace lmsb::bench {
namespace {

struct Kind {
  std::string status;
  std::string request;
};

struct Options {
  std::uint16_t port = 0;
  std::size_t connections = 1;
  double seconds = 1;
  double rate = 0;
  bool is_new = false;
  std::vector<Kind> kinds;
};

struct Connection {
  int fd = -1;
  bool is_busy = false;
  std::size_t kind = 0;
  double due = 0;
  std::string input;
};

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "refused: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

// The whole answer's size once its head is there, else 0.
std::size_t answer_size(std::string_view input) {
  const std::size_t head = input.find("\r\n\r\n");
  if (head == std::string_view::npos) return 0;
  for (const std::string_view name : {"content-length: ", "Content-Length: "})
    if (const std::size_t at = input.find(name); at < head)
      return head + 4 + std::strtoul(input.data() + at + name.size(), nullptr, 10);
  return head + 4;
}

class Load {
 public:
  explicit Load(Options options) : options_(std::move(options)), connections_(options_.connections) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  }

  void run() {
    begin_ = now_ms();
    next_due_ = begin_;
    end_ = begin_ + options_.seconds * 1e3;
    start();
    while (busy_ > 0 || now_ms() < end_) {
      std::array<epoll_event, 64> events{};
      const int count = wait(events);
      for (int i = 0; i < count; ++i) on_input(events[static_cast<std::size_t>(i)].data.u64);
      start();
    }
    wall_ms_ = now_ms() - begin_;
  }

  void print() const {
    fmt::print(R"({{{},"per_second":{:.1f},"wrong":{},"first_wrong":"{}","connections":{},"client_cpu_ms":{:.1f}}})"
               "\n",
               answers_.json(), static_cast<double>(answers_.count()) / wall_ms_ * 1e3, wrong_, first_wrong_, made_,
               own_cpu_ms());
  }

 private:
  void open(std::size_t index) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(options_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) fail("connect");
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    // Ports are not kept for a minute for what has ended: thousands a second would use them up.
    const linger at_once{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = index;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    connections_[index].fd = fd;
    connections_[index].input.clear();
    ++made_;
  }

  void close(Connection& c) {
    ::close(c.fd);
    c.fd = -1;
  }

  // Until an answer, the next request that is due, or the end.
  int wait(std::array<epoll_event, 64>& events) {
    double until = busy_ > 0 ? now_ms() + 30'000 : end_;
    if (options_.rate > 0 && busy_ < connections_.size() && next_due_ < end_) until = next_due_;
    const double left = std::max(0.0, until - now_ms());
    const timespec timeout{static_cast<time_t>(left / 1e3), static_cast<long>(std::fmod(left, 1e3) * 1e6)};
    const int count = ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    if (count == 0 && busy_ > 0 && left > 29'000) fail("no answer for 30 s");
    return count;
  }

  void start() {
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      Connection& c = connections_[i];
      if (c.is_busy) continue;
      const double now = now_ms();
      if (now >= end_ || (options_.rate > 0 && next_due_ > now)) return;
      c.due = options_.rate > 0 ? next_due_ : now;
      if (options_.rate > 0) next_due_ += 1e3 / options_.rate;
      c.kind = next_kind_++ % options_.kinds.size();
      c.is_busy = true;
      ++busy_;
      if (c.fd < 0) open(i);
      send(c);
    }
  }

  void send(Connection& c) {
    const std::string& text = options_.kinds[c.kind].request;
    if (::send(c.fd, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) fail("send");
  }

  void on_input(std::size_t index) {
    Connection& c = connections_[index];
    std::array<char, 16384> buffer;  // NOLINT: filled by recv
    const ssize_t size = ::recv(c.fd, buffer.data(), buffer.size(), 0);
    if (size <= 0) return on_end(index);
    c.input.append(buffer.data(), static_cast<std::size_t>(size));
    const std::size_t whole = answer_size(c.input);
    if (!c.is_busy || whole == 0 || c.input.size() < whole) return;
    on_answer(c);
    const bool is_over = options_.is_new || c.input.find("onnection: close") != std::string::npos;
    c.input.clear();
    if (is_over) close(c);
  }

  // The server closed it: between requests it may, and what was sent then is sent again.
  void on_end(std::size_t index) {
    Connection& c = connections_[index];
    close(c);
    if (!c.is_busy) return;
    open(index);
    send(c);
  }

  void on_answer(Connection& c) {
    answers_.add(now_ms() - c.due);
    if (c.input.compare(9, 3, options_.kinds[c.kind].status) != 0 && wrong_++ == 0) first_wrong_ = c.input.substr(9, 3);
    c.is_busy = false;
    --busy_;
  }

  Options options_;
  std::vector<Connection> connections_;
  Samples answers_;
  int epoll_ = -1;
  std::size_t busy_ = 0, next_kind_ = 0, wrong_ = 0, made_ = 0;
  std::string first_wrong_;
  double begin_ = 0, end_ = 0, next_due_ = 0, wall_ms_ = 0;
};

int run(int argc, char** argv) {
  if (argc < 8 || argc % 2 != 0) {
    fmt::print(stderr, "usage: the head of bench/refused.cc\n");
    return 2;
  }
  Options options;
  options.port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  options.connections = static_cast<std::size_t>(std::atoi(argv[2]));
  options.seconds = std::atof(argv[3]);
  options.rate = std::atof(argv[4]);
  options.is_new = std::string_view(argv[5]) == "new";
  for (int i = 6; i < argc; i += 2) options.kinds.push_back({argv[i], argv[i + 1]});
  Load load(std::move(options));
  load.run();
  load.print();
  return 0;
}

}  // namespace
}  // namespace lmsb::bench

int main(int argc, char** argv) { return lmsb::bench::run(argc, argv); }
