// How fast octets come out: the floor of docs/benchmarks.md, and the same of a server.
//
//     stream floor PROGRAM [ARGUMENT...]        what the program writes: through one pipe, and by splice one TCP socket
//     stream get PORT METHOD PATH ACCEPT BODY   the answer of a server on loopback
//
// Whoever receives them is the same for both: one thread that reads and forgets. Prints {"octets", "ms",
// "client_cpu_ms"}; of a server the octets are those of the connection.
#include <arpa/inet.h>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "samples.h"

namespace lmsb::bench {
namespace {

constexpr std::size_t kPipe = 1U << 20U;

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "stream: {}\n", what);
  ::_exit(1);
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int connect_to(int port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) fail("connect");
  return fd;
}

// Reads to the end; the first octets are shown to `look`, which refuses what is no good answer.
template <class Look>
int drain(int fd, double begin, Look look) {
  static std::array<char, 1U << 18U> buffer;
  std::size_t octets = 0;
  for (;;) {
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n < 0) fail("the connection broke off");
    if (n == 0) break;
    if (octets == 0) look(std::string_view(buffer.data(), static_cast<std::size_t>(n)));
    octets += static_cast<std::size_t>(n);
  }
  const double took = now_ms() - begin;
  fmt::print("{{\"octets\":{},\"ms\":{:.3f},\"client_cpu_ms\":{:.3f}}}\n", octets, took, own_cpu_ms());
  return 0;
}

// The floor's other side, in a process of its own: starts the program and moves what it writes.
[[noreturn]] void serve_pipe(int listener, char** argv) {
  const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) fail("accept");
  const int on = 1;
  ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("make a pipe");
  ::fcntl(ends[0], F_SETPIPE_SZ, static_cast<int>(kPipe));
  const pid_t child = ::fork();
  if (child < 0) fail("fork");
  if (child == 0) {
    ::dup2(ends[1], 1);
    ::execvp(argv[0], argv);
    fail(std::string("start ") + argv[0]);
  }
  ::close(ends[1]);
  ssize_t moved = 0;
  do moved = ::splice(ends[0], nullptr, client, nullptr, kPipe, 0);
  while (moved > 0);
  if (moved < 0) fail("splice");
  ::close(client);
  ::waitpid(child, nullptr, 0);
  ::_exit(0);
}

int measure_floor(char** argv) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(listener, 1) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    fail("listen");
  const pid_t server = ::fork();
  if (server < 0) fail("fork");
  if (server == 0) serve_pipe(listener, argv);
  const int fd = connect_to(ntohs(address.sin_port));
  const int result = drain(fd, now_ms(), [](std::string_view) {});
  ::waitpid(server, nullptr, 0);
  return result;
}

int measure_get(char** argv) {
  const int fd = connect_to(std::atoi(argv[0]));
  const std::string_view body = argv[4];
  std::string request = fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAccept: {}\r\n", argv[1],
                                    argv[2], argv[3]);
  if (!body.empty()) request += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size());
  request += "\r\n" + std::string(body);
  const double begin = now_ms();
  if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) fail("send");
  return drain(fd, begin, [](std::string_view head) {
    if (head.substr(0, 12) != "HTTP/1.1 200") fail(std::string(head.substr(0, 500)));
  });
}

int run(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  const std::string_view mode = argc > 2 ? argv[1] : "";
  if (mode == "floor") return measure_floor(argv + 2);
  if (mode == "get" && argc == 7) return measure_get(argv + 2);
  fail("usage: the head of bench/stream.cc");
}

}  // namespace
}  // namespace lmsb::bench

int main(int argc, char** argv) { return lmsb::bench::run(argc, argv); }
