// Requests that are refused, so many a second: what a stranger costs.
//
//     refused PORT CONNECTIONS SECONDS RATE keep|new (STATUS REQUEST)...
//
// The requests take turns; each must be answered with its status. `keep`: on connections that are kept, as far as the
// server keeps them; `new`: each on one of its own. RATE is requests a second over all connections, 0 = as fast as
// answers come. A request counts from the moment it was due. One thread, one epoll. Prints JSON: milliseconds of an
// answer, answers a second, those with another status, connections that were made, CPU of this program.
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "http_load.h"
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

class Load {
 public:
  explicit Load(Options options) : options_(std::move(options)), connections_(options_.connections) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  }

  void run() {
    begin_ = now_ms();
    pace_ = {options_.rate, begin_ + options_.seconds * 1e3, begin_};
    start();
    while (busy_ > 0 || now_ms() < pace_.end) {
      std::array<epoll_event, 64> events{};
      const int count = wait(epoll_, events, pace_, busy_ > 0, busy_ < connections_.size());
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
    const int fd = connect_to(options_.port, epoll_, index);
    // Ports are not kept for a minute for what has ended: thousands a second would use them up.
    const linger at_once{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    connections_[index].fd = fd;
    connections_[index].input.clear();
    ++made_;
  }

  void close(Connection& c) {
    ::close(c.fd);
    c.fd = -1;
  }

  void start() {
    for (std::size_t i = 0; i < connections_.size(); ++i) {
      Connection& c = connections_[i];
      if (c.is_busy) continue;
      const double now = now_ms();
      if (now >= pace_.end || (pace_.rate > 0 && pace_.next_due > now)) return;
      c.due = pace_.rate > 0 ? pace_.next_due : now;
      if (pace_.rate > 0) pace_.next_due += 1e3 / pace_.rate;
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
  Pace pace_;
  double begin_ = 0, wall_ms_ = 0;
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
