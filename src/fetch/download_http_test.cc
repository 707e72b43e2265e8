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
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/unique_fd.h"
#include "fetch/download.h"

namespace lmsb::fetch {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// Answers each connection, one after the other, with what `answer` makes of the request's head.
class LoopbackServer {
 public:
  using Answer = std::function<std::string(const std::string& head)>;
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
      const std::string answer = answer_(request);
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

const Progress kGoOn = [](std::uint64_t, std::uint64_t) { return true; };

class Download : public testing::Test {
 protected:
  Status get(const std::string& url) {
    wanted_.url = url;
    return download(
        wanted_, file_.get(), limits_, [this](std::uint64_t, std::uint64_t) { return go_on_; }, received_);
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
  Wanted wanted_;
  Received received_;
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
  EXPECT_EQ(refused.error().code(), ErrorCode::not_found);
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
  wanted_.url = server.url("/m");
  const Status failed = download(
      wanted_, full.get(), limits_, [](std::uint64_t, std::uint64_t) { return true; }, received_);
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().sys_errno(), ENOSPC);
}

TEST_F(Download, NamesNoPassword) {
  const LoopbackServer server([](const std::string&) { return "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"; });
  std::string url = server.url("/m.gguf");
  url.insert(7, "somebody:secret@");
  EXPECT_THAT(get(url).error().message(), AllOf(HasSubstr("http://127.0.0.1:"), Not(HasSubstr("secret"))));
}

// Of a request: what it says behind `name`; "" where it does not say it.
std::string said(const std::string& head, const std::string& name) {
  const std::size_t at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const std::size_t begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

std::string of_file(const std::string& tag) { return tag.empty() ? "" : "ETag: " + tag + "\r\n"; }

// A server of one file, each of whose answers breaks off after so many octets.
struct BreakingOff {
  std::string file;
  std::string tag;
  std::size_t most;
  std::vector<std::string> ranges;  // asked for

  std::string answer(const std::string& head) {
    ranges.push_back(said(head, "Range"));
    const std::string if_range = said(head, "If-Range");
    std::size_t begin = 0;
    std::string status = "200 OK\r\n";
    if (!ranges.back().empty() && (if_range.empty() || if_range == tag)) {
      begin = std::stoul(ranges.back().substr(6));
      status = "206 Part\r\nContent-Range: bytes " + std::to_string(begin) + "-" + std::to_string(file.size() - 1) +
               "/" + std::to_string(file.size()) + "\r\n";
    }
    return "HTTP/1.1 " + status + of_file(tag) + "Content-Length: " + std::to_string(file.size() - begin) + "\r\n\r\n" +
           file.substr(begin, most);
  }
};

TEST_F(Download, GoesOnWhereTheServerBrokeOff) {
  BreakingOff breaking{"0123456789", "\"one\"", 4, {}};
  const LoopbackServer server([&](const std::string& head) { return breaking.answer(head); });
  limits_.tries = 2;
  limits_.pause = std::chrono::milliseconds(0);
  ASSERT_TRUE(get(server.url("/m")).ok());
  EXPECT_EQ(content(), "0123456789");
  EXPECT_THAT(breaking.ranges, testing::ElementsAre("", "bytes=4-", "bytes=8-"));
  EXPECT_EQ(received_.tag, "\"one\"");
}

TEST_F(Download, IsTakenUpAgainByALaterCall) {
  BreakingOff breaking{"0123456789", "\"one\"", 6, {}};
  const LoopbackServer server([&](const std::string& head) { return breaking.answer(head); });
  EXPECT_FALSE(get(server.url("/m")).ok());
  EXPECT_EQ(content(), "012345");
  wanted_.tag = received_.tag;
  ASSERT_TRUE(get(server.url("/m")).ok());
  EXPECT_EQ(content(), "0123456789");
  EXPECT_THAT(breaking.ranges, testing::ElementsAre("", "bytes=6-"));
}

TEST_F(Download, BeginsAnewWhereTheFileIsAnotherOneNow) {
  BreakingOff breaking{"0123456789", "\"one\"", 6, {}};
  const LoopbackServer server([&](const std::string& head) { return breaking.answer(head); });
  EXPECT_FALSE(get(server.url("/m")).ok());
  breaking.file = "abc";
  breaking.tag = "\"two\"";
  wanted_.tag = received_.tag;
  ASSERT_TRUE(get(server.url("/m")).ok());
  EXPECT_EQ(content(), "abc");
  EXPECT_EQ(received_.tag, "\"two\"");
}

TEST_F(Download, GoesOnWithoutATagOnlyWithWhatIsCheckedAfterwards) {
  BreakingOff breaking{"0123456789", "", 6, {}};
  const LoopbackServer server([&](const std::string& head) { return breaking.answer(head); });
  EXPECT_FALSE(get(server.url("/m")).ok());
  EXPECT_FALSE(get(server.url("/m")).ok());
  wanted_.is_checked = true;
  ASSERT_TRUE(get(server.url("/m")).ok());
  EXPECT_EQ(content(), "0123456789");
  EXPECT_THAT(breaking.ranges, testing::ElementsAre("", "", "bytes=6-"));
}

TEST_F(Download, GivesUpOnAServerThatBringsNothingNew) {
  int asked = 0;
  const LoopbackServer server([&](const std::string&) -> std::string {
    ++asked;
    return "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
  });
  limits_.tries = 3;
  limits_.pause = std::chrono::milliseconds(0);
  EXPECT_EQ(get(server.url("/m")).error().code(), ErrorCode::unavailable);
  EXPECT_EQ(asked, 3);
}

TEST_F(Download, TakesNoOtherPartThanItAskedFor) {
  const LoopbackServer server([&](const std::string&) -> std::string {
    return "HTTP/1.1 206 Part\r\nContent-Range: bytes 1-2/9\r\nContent-Length: 2\r\n\r\nxx";
  });
  EXPECT_THAT(get(server.url("/m")).error().message(), HasSubstr("another part"));
  EXPECT_EQ(content(), "");
}

TEST_F(Download, BeginsAnewBehindTheEndOfTheFile) {
  const LoopbackServer server([&](const std::string& head) -> std::string {
    if (!said(head, "Range").empty()) return "HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n";
    return with_body("abc");
  });
  ASSERT_EQ(::write(file_.get(), "012345", 6), 6);
  wanted_.is_checked = true;
  limits_.tries = 2;
  limits_.pause = std::chrono::milliseconds(0);
  ASSERT_TRUE(get(server.url("/m")).ok());
  EXPECT_EQ(content(), "abc");
}

TEST_F(Download, SendsATokenToTheOriginOfItsUrlAlone) {
  std::string told;
  const LoopbackServer elsewhere([&](const std::string& head) {
    told = said(head, "Authorization");
    return with_body("here");
  });
  std::string first;
  const LoopbackServer server([&](const std::string& head) {
    first = said(head, "Authorization");
    return "HTTP/1.1 302 Found\r\nLocation: " + elsewhere.url("/m") + "\r\nContent-Length: 0\r\n\r\n";
  });
  wanted_.bearer = "hf_secret";
  ASSERT_TRUE(get(server.url("/m")).ok());
  EXPECT_EQ(first, "Bearer hf_secret");
  EXPECT_EQ(told, "");
  EXPECT_EQ(content(), "here");
}

TEST_F(Download, OfflineFollowsARedirectOnLoopbackAndNoOther) {
  limits_.reach = Reach::loopback;
  std::string target = "http://models.example/m";
  const LoopbackServer server([&](const std::string& head) -> std::string {
    if (head.starts_with("GET /there")) return with_body("here");
    return "HTTP/1.1 302 Found\r\nLocation: " + target + "\r\nContent-Length: 0\r\n\r\n";
  });
  EXPECT_EQ(get(server.url("/m")).error().slug(), "offline");
  target = "/there";
  ASSERT_TRUE(get(server.url("/m")).ok());
  EXPECT_EQ(content(), "here");
}

TEST(FetchText, SaysWhereTheNextPageIs) {
  const LoopbackServer server([&](const std::string&) -> std::string {
    return "HTTP/1.1 200 OK\r\nLink: <http://x/0>; rel=\"prev\", <http://x/2?c=1>; rel=\"next\"\r\nContent-Length: "
           "2\r\n\r\n[]";
  });
  Wanted wanted;
  wanted.url = server.url("/list");
  Received received;
  const auto text = fetch_text(wanted, DownloadLimits(), kGoOn, received);
  ASSERT_TRUE(text.ok()) << text.error().message();
  EXPECT_EQ(*text, "[]");
  EXPECT_EQ(received.next, "http://x/2?c=1");
}

TEST(FetchText, IsBounded) {
  const LoopbackServer server([&](const std::string&) { return with_body(std::string(17 << 20, 'x')); });
  Wanted wanted;
  wanted.url = server.url("/list");
  Received received;
  EXPECT_EQ(fetch_text(wanted, DownloadLimits(), kGoOn, received).error().code(), ErrorCode::resource_exhausted);
}

TEST_F(Download, LooksWhetherThereIsRoomBeforeItWritesAnything) {
  const LoopbackServer server(
      [](const std::string&) { return "HTTP/1.1 200 OK\r\nContent-Length: 1152921504606846976\r\n\r\nGGUF"; });
  limits_.size = Bytes(2ULL << 60U);
  std::string name = testing::TempDir() + "lmsb-download-XXXXXX";
  const UniqueFd file(::mkstemp(name.data()));
  wanted_.url = server.url("/m");
  const Status refused = download(wanted_, file.get(), limits_, kGoOn, received_);
  EXPECT_EQ(refused.error().sys_errno(), ENOSPC);
  EXPECT_THAT(refused.error().hint(), HasSubstr("are missing"));
  struct stat info {};
  ASSERT_EQ(::fstat(file.get(), &info), 0);
  EXPECT_EQ(info.st_size, 0);
  ::unlink(name.c_str());
}

TEST_F(Download, TakesNothingButHttp) {
  for (const char* url : {"file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/x"})
    EXPECT_EQ(get(url).error().code(), ErrorCode::invalid_argument) << url;
}

}  // namespace
}  // namespace lmsb::fetch
