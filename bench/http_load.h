#pragma once
// What programs that load an HTTP server at loopback share: connections to it, the size of an answer, and when to wake.
// Whatever fails ends the program.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include "samples.h"

namespace lmsb::bench {

[[noreturn]] inline void fail(std::string_view what) {
  fmt::print(stderr, "{}: {}: {}\n", program_invocation_short_name, what, std::strerror(errno));
  std::exit(1);
}

// The whole answer's size once its head is there, else 0.
inline std::size_t answer_size(std::string_view input) {
  const std::size_t head = input.find("\r\n\r\n");
  if (head == std::string_view::npos) return 0;
  for (const std::string_view name : {"content-length: ", "Content-Length: "})
    if (const std::size_t at = input.find(name); at < head)
      return head + 4 + std::strtoul(input.data() + at + name.size(), nullptr, 10);
  return head + 4;
}

// A connection to `port`, whose input `epoll` tells of by `index`.
inline int connect_to(std::uint16_t port, int epoll, std::size_t index) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) fail("connect");
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = index;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  return fd;
}

// When requests are due: `rate` a second, or, where that is 0, as fast as answers come.
struct Pace {
  double rate = 0;
  double end = 0;       // nothing is due from then on
  double next_due = 0;  // where there is a rate
};

// Waits for an answer, the next request that is due where a connection is free for it, or the end.
inline int wait(int epoll, std::array<epoll_event, 64>& events, const Pace& pace, bool is_busy, bool has_free) {
  double until = is_busy ? now_ms() + 30'000 : pace.end;
  if (pace.rate > 0 && has_free && pace.next_due < pace.end) until = pace.next_due;
  const double left = std::max(0.0, until - now_ms());
  const timespec timeout{static_cast<time_t>(left / 1e3), static_cast<long>(std::fmod(left, 1e3) * 1e6)};
  const int count = ::epoll_pwait2(epoll, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
  if (count == 0 && is_busy && left > 29'000) fail("no answer for 30 s");
  return count;
}

}  // namespace lmsb::bench
