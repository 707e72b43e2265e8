#pragma once
// For the tests of this folder: a client that says exactly what it is told, and a server on a thread of its own.
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <future>
#include <memory>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include "http/address.h"
#include "http/server.h"

namespace lmsb::http {

// A directory that goes with the test.
struct TemporaryDirectory {
  TemporaryDirectory() { EXPECT_NE(::mkdtemp(path.data()), nullptr); }
  ~TemporaryDirectory() {
    ::unlink((path + "/api.sock").c_str());
    ::rmdir(path.c_str());
  }
  std::string path = "/tmp/lmsb-http-XXXXXX";
};

// A blocking client that says exactly what it is told.
class RawClient {
 public:
  explicit RawClient(const Address& address) : fd_(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    // What it does not read the kernel keeps a little of, and not as much as a machine may allow.
    const int buffer = 128 << 10;
    EXPECT_EQ(::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer), 0);
    EXPECT_EQ(::connect(fd_.get(), address.get(), address.size), 0) << std::strerror(errno);
  }
  RawClient& say(std::string_view text) {
    EXPECT_EQ(::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
    return *this;
  }
  // Everything until the server closes; "(timeout)" at the end if it does not within 5 s.
  std::string hear_all() {
    std::string all;
    while (true) {
      const std::string more = hear_some();
      if (more.empty() || more == "(timeout)") return all + more;
      all += more;
    }
  }
  // Until `marker` has been heard.
  std::string hear_until(std::string_view marker) {
    while (heard_.find(marker) == std::string::npos) {
      const std::string more = hear_some();
      if (more.empty() || more == "(timeout)") return heard_ + more;
      heard_ += more;
    }
    return std::exchange(heard_, "");
  }
  std::string hear_some() {
    pollfd ready{fd_.get(), POLLIN, 0};
    if (::poll(&ready, 1, 5000) != 1) return "(timeout)";
    std::string chunk(65536, '\0');
    const ssize_t count = ::recv(fd_.get(), chunk.data(), chunk.size(), 0);
    chunk.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return chunk;
  }
  bool is_closed() { return hear_some().empty(); }
  void hang_up() { fd_.reset(); }
  int fd() const { return fd_.get(); }

 private:
  UniqueFd fd_;
  std::string heard_;
};

inline bool has_status(const std::string& answer, int status) {
  return answer.rfind("HTTP/1.1 " + std::to_string(status) + " ", 0) == 0;
}
inline bool has(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

inline std::string get(std::string_view path, std::string_view more = "") {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n" + std::string(more) + "\r\n";
}
constexpr std::string_view kClose = "Connection: close\r\n";

// A server on a thread of its own, at a free port of loopback.
class ServerFixture : public testing::Test {
 protected:
  void start_with(ServerLimits limits, Serve serve, StreamedBody streamed = {}) {
    server_ = std::make_unique<Server>(loop_, limits, std::move(serve), std::move(streamed));
    const Result<std::string> bound = server_->listen_tcp("127.0.0.1:0");
    ASSERT_TRUE(bound.ok());
    bound_ = *bound;
    thread_ = std::thread([this] { loop_.run(); });
  }
  void TearDown() override {
    if (!thread_.joinable()) return;
    boost::asio::post(loop_, [this] { server_.reset(); });
    thread_.join();
  }
  RawClient connect() { return RawClient(*to_address(*parse_host_port(bound_))); }
  // The whole answer to one request of a client of its own.
  std::string ask(std::string_view text) { return connect().say(text).hear_all(); }
  template <class F>
  auto on_loop(F work) {
    std::promise<decltype(work())> promise;
    boost::asio::post(loop_, [&] { promise.set_value(work()); });
    return promise.get_future().get();
  }
  std::size_t open_connections() {
    return on_loop([this] { return server_->open_connections(); });
  }
  // Waits until `condition`, 5 s at most.
  template <class F>
  bool soon(F condition) {
    for (int i = 0; i < 500 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return condition();
  }

  boost::asio::io_context loop_{1};
  std::unique_ptr<Server> server_;
  std::string bound_;
  std::thread thread_;
};

}  // namespace lmsb::http
