// HTTP load on one address: keep-alive connections, each sending the next request when the last is answered.
//
//     load PORT CONNECTIONS SECONDS RATE EXPECT (METHOD PATH BODY)...
//
// RATE is rounds a second over all connections, 0 = as fast as answers come. A round sends every step in turn; "{id}"
// in a path is the id of the round's first answer. EXPECT is what the body of a round's first answer must contain ("" =
// anything). Paced rounds count from the moment they were due. One thread, one epoll: what it costs is printed too.
// Prints JSON: milliseconds of a round and of each step, rounds a second, failures with the first one's answer.
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

struct Step {
  std::string method, path, body;
};

struct Options {
  std::uint16_t port = 0;
  std::size_t connections = 1;
  double seconds = 1;
  double rate = 0;
  std::string expect;
  std::vector<Step> steps;
};

struct Connection {
  int fd = -1;
  bool busy = false;
  std::size_t step = 0;
  double round_begin = 0;
  double step_begin = 0;
  std::string id;
  std::string input;
};

std::string_view id_in(std::string_view body) {
  constexpr std::string_view kKey = "\"id\":\"";
  const std::size_t at = body.find(kKey);
  if (at == std::string_view::npos) return {};
  body.remove_prefix(at + kKey.size());
  return body.substr(0, body.find('"'));
}

class Load {
 public:
  explicit Load(Options options)
      : options_(std::move(options)), connections_(options_.connections), steps_(options_.steps.size()) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    for (std::size_t i = 0; i < connections_.size(); ++i) connections_[i].fd = connect_to(options_.port, epoll_, i);
  }

  void run() {
    begin_ = now_ms();
    pace_ = {options_.rate, begin_ + options_.seconds * 1e3, begin_};
    start_rounds();
    while (busy_ > 0 || now_ms() < pace_.end) {
      std::array<epoll_event, 64> events{};
      const int count = wait(epoll_, events, pace_, busy_ > 0, busy_ < connections_.size());
      for (int i = 0; i < count; ++i) on_input(connections_[events[static_cast<std::size_t>(i)].data.u64]);
      start_rounds();
    }
    wall_ms_ = now_ms() - begin_;
  }

  void print() const {
    fmt::print(R"({{{},"per_second":{:.2f},"failures":{},"first_failure":"{}",)"
               R"("client_cpu_ms":{:.1f},"wall_ms":{:.1f},"steps":[)",
               rounds_.json(), static_cast<double>(rounds_.count()) / wall_ms_ * 1e3, failures_, first_failure_,
               own_cpu_ms(), wall_ms_);
    for (std::size_t i = 0; i < steps_.size(); ++i) fmt::print("{}{{{}}}", i > 0 ? "," : "", steps_[i].json());
    fmt::print("]}}\n");
  }

 private:
  void start_rounds() {
    for (Connection& c : connections_) {
      const double now = now_ms();
      if (c.busy) continue;
      if (now >= pace_.end || (pace_.rate > 0 && pace_.next_due > now)) return;
      c.busy = true;
      ++busy_;
      c.step = 0;
      c.id.clear();
      // A late timer of this program is not the server's fault; a busy connection is.
      c.round_begin = pace_.rate > 0 && now - pace_.next_due > 1 ? pace_.next_due : now;
      if (pace_.rate > 0) pace_.next_due += 1e3 / pace_.rate;
      send(c);
    }
  }

  void send(Connection& c) {
    const Step& step = options_.steps[c.step];
    std::string path = step.path;
    if (const std::size_t at = path.find("{id}"); at != std::string::npos) path.replace(at, 4, c.id);
    const std::string text = fmt::format(
        "{} {} HTTP/1.1\r\nHost: localhost:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        step.method, path, options_.port, step.body.size(), step.body);
    c.step_begin = c.step == 0 ? c.round_begin : now_ms();
    if (::send(c.fd, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) fail("send");
  }

  void on_input(Connection& c) {
    std::array<char, 65536> buffer;  // NOLINT: filled by recv
    const ssize_t size = ::recv(c.fd, buffer.data(), buffer.size(), 0);
    if (size <= 0) fail("the server closed a connection");
    c.input.append(buffer.data(), static_cast<std::size_t>(size));
    const std::size_t whole = answer_size(c.input);
    if (whole == 0 || c.input.size() < whole) return;
    on_answer(c);
    c.input.erase(0, whole);
  }

  void on_answer(Connection& c) {
    const double now = now_ms();
    const bool is_good =
        c.input.compare(0, 10, "HTTP/1.1 2") == 0 && (c.step > 0 || c.input.find(options_.expect) != std::string::npos);
    if (!is_good && failures_++ == 0) note_failure(c.input);
    steps_[c.step].add(now - c.step_begin);
    if (c.step == 0) c.id = id_in(c.input);
    if (is_good && ++c.step < options_.steps.size()) return send(c);
    if (is_good) rounds_.add(now - c.round_begin);
    c.busy = false;
    --busy_;
  }

  void note_failure(const std::string& answer) {
    for (const char c : answer.substr(0, 600)) first_failure_ += c == '"' ? '\'' : (c < ' ' || c == '\\' ? ' ' : c);
  }

  Options options_;
  std::vector<Connection> connections_;
  std::vector<Samples> steps_;
  Samples rounds_;
  int epoll_ = -1;
  std::size_t busy_ = 0;
  std::size_t failures_ = 0;
  std::string first_failure_;
  Pace pace_;
  double begin_ = 0, wall_ms_ = 0;
};

int run(int argc, char** argv) {
  if (argc < 9 || (argc - 6) % 3 != 0) {
    fmt::print(stderr, "usage: the head of bench/load.cc\n");
    return 2;
  }
  Options options;
  options.port = static_cast<std::uint16_t>(std::atoi(argv[1]));
  options.connections = static_cast<std::size_t>(std::atoi(argv[2]));
  options.seconds = std::atof(argv[3]);
  options.rate = std::atof(argv[4]);
  options.expect = argv[5];
  for (int i = 6; i < argc; i += 3) options.steps.push_back({argv[i], argv[i + 1], argv[i + 2]});
  Load load(std::move(options));
  load.run();
  load.print();
  return 0;
}

}  // namespace
}  // namespace lmsb::bench

int main(int argc, char** argv) { return lmsb::bench::run(argc, argv); }
