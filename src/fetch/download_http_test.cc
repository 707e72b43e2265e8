// Downloads from a server of the test's own on loopback.
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <functional>
#include <netinet/in.h>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/unique_fd.h"
#include "fetch/download.h"

namespace lmsb::fetch {
namespace {

using testing::HasSubstr;
using testing::Not;

// Answers each connection, one after the other, with what `answer` makes of the request's first line.
class LoopbackServer {
 public:
  using Answer = std::function<std::string(const std::string& first_line)>;
  explicit LoopbackServer(Answer answer) : answer_(std::move(answer)) {
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(listener_.get(), generic, size), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    EXPECT_EQ(::getsockname(listener_.get(), generic, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~LoopbackServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  LoopbackServer(const LoopbackServer&) = delete;
  LoopbackServer& operator=(const LoopbackServer&) = delete;

  std::string url(const std::string& path) const { return "http://127.0.0.1:" + std::to_string(port_) + path; }

 private:
  void serve() {
    for (;;) {
      const UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection) return;
      std::string request;
      std::array<char, 4096> part{};
      while (request.find("\r\n\r\n") == std::string::npos) {
        const ssize_t got = ::recv(connection.get(), part.data(), part.size(), 0);
        if (got <= 0) break;
        request.append(part.data(), static_cast<std::size_t>(got));
      }
      const std::string answer = answer_(request.substr(0, request.find("\r\n")));
      (void)!::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    }
  }

  Answer answer_;
  UniqueFd listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

std::string with_body(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

class Download : public testing::Test {
 protected:
  Status get(const std::string& url) {
    return download(url, file_.get(), limits_, [this](std::uint64_t, std::uint64_t) { return go_on_; });
  }
  std::string content() const {
    struct stat info {};
    EXPECT_EQ(::fstat(file_.get(), &info), 0);
    std::string text(static_cast<std::size_t>(info.st_size), '\0');
    EXPECT_EQ(::pread(file_.get(), text.data(), text.size(), 0), info.st_size);
    return text;
  }

  const UniqueFd file_{::memfd_create("download", MFD_CLOEXEC)};
  DownloadLimits limits_;
  bool go_on_ = true;
};

TEST_F(Download, WritesWhatTheServerAnswers) {
  const std::string body(300'000, 'm');
  const LoopbackServer server([&](const std::string&) { return with_body(body); });
  const Status done = get(server.url("/m.gguf"));
  ASSERT_TRUE(done.ok()) << done.error().message();
  EXPECT_EQ(content(), body);
}

TEST_F(Download, FollowsARedirect) {
  const LoopbackServer server([&](const std::string& line) -> std::string {
    if (line.starts_with("GET /there")) return with_body("here");
    return "HTTP/1.1 302 Found\r\nLocation: /there\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  });
  ASSERT_TRUE(get(server.url("/m.gguf")).ok());
  EXPECT_EQ(content(), "here");
}

TEST_F(Download, DoesNotFollowARedirectToAFileOfThisMachine) {
  const LoopbackServer server([](const std::string&) {
    return "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  });
  const Status refused = get(server.url("/m.gguf"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::invalid_argument);
  EXPECT_EQ(content(), "");
}

TEST_F(Download, GivesUpARedirectThatGoesInCircles) {
  const LoopbackServer server([](const std::string&) {
    return "HTTP/1.1 302 Found\r\nLocation: /again\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  });
  EXPECT_EQ(get(server.url("/m.gguf")).error().code(), ErrorCode::unavailable);
}

TEST_F(Download, NamesTheStatusOfARefusalAndNotTheQuery) {
  const LoopbackServer server([](const std::string&) {
    return "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 4\r\n\r\nnone";
  });
  const Status refused = get(server.url("/m.gguf?token=secret"));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code(), ErrorCode::unavailable);
  EXPECT_THAT(refused.error().message(), HasSubstr("404"));
  EXPECT_THAT(refused.error().message(), Not(HasSubstr("secret")));
  EXPECT_EQ(content(), "");
}

TEST_F(Download, IsAnErrorWhenTheServerStopsMidway) {
  const LoopbackServer server([](const std::string&) { return "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nGGUF"; });
  EXPECT_EQ(get(server.url("/m.gguf")).error().code(), ErrorCode::unavailable);
}

TEST_F(Download, StopsAtItsLimitAndWhenItIsTold) {
  const LoopbackServer server([](const std::string&) { return with_body(std::string(2000, 'x')); });
  limits_.size = Bytes(1000);
  EXPECT_EQ(get(server.url("/m.gguf")).error().code(), ErrorCode::resource_exhausted);
  EXPECT_LE(content().size(), 1000U);
  go_on_ = false;
  EXPECT_EQ(get(server.url("/m.gguf")).error().code(), ErrorCode::cancelled);
}

TEST_F(Download, SaysThatTheFileCannotBeWritten) {
  const LoopbackServer server([](const std::string&) { return with_body("data"); });
  const UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  const Status failed =
      download(server.url("/m"), full.get(), limits_, [](std::uint64_t, std::uint64_t) { return true; });
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().sys_errno(), ENOSPC);
}

TEST_F(Download, TakesNothingButHttp) {
  for (const char* url : {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"})
    EXPECT_EQ(get(url).error().code(), ErrorCode::invalid_argument) << url;
}

}  // namespace
}  // namespace lmsb::fetch
