#include "cli/mounts_client.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/unique_fd.h"
#include "os/message_socket.h"

namespace lmsb::cli {
namespace {

// Takes one connection and one message with descriptors, and answers with `reply`.
class OneShotServer {
 public:
  explicit OneShotServer(std::string reply) : reply_(std::move(reply)) {
    std::string name = "/tmp/lm-sandbox-mounts-test-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    listener_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().data(), path().size());
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    thread_ = std::thread([this] { answer(); });
  }
  ~OneShotServer() {
    if (thread_.joinable()) finish();
    ::unlink(path().c_str());
    ::rmdir(directory_.c_str());
  }
  void finish() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string path() const { return directory_ + "/mounts.sock"; }

  std::string message;
  ReceivedFds received;

 private:
  void answer() {
    const UniqueFd connection(::accept(listener_.get(), nullptr, nullptr));
    if (!connection) return;
    std::array<char, 4096> buffer;
    const ssize_t got = receive_message(connection.get(), buffer.data(), buffer.size(), received);
    message.assign(buffer.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
    const iovec part{reply_.data(), reply_.size()};
    send_message(connection.get(), &part, 1);
  }

  std::string reply_;
  std::string directory_;
  UniqueFd listener_;
  std::thread thread_;
};

TEST(OfferMount, PassesTheOpenedDirectoryAndGetsAToken) {
  OneShotServer server(std::string(4, '\0') + std::string(15, '\n') + "\xff");
  const auto token = offer_mount(server.path(), {"/usr", "/in", true});
  server.finish();
  ASSERT_TRUE(token.ok()) << token.error().message();
  EXPECT_EQ(token->token, "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0aff");
  EXPECT_EQ(token->target, "/in");
  EXPECT_TRUE(token->read_only);
  EXPECT_EQ(server.message, std::string("OMML\1\0\0\0", 8));
  ASSERT_EQ(server.received.count, 1U);
  struct stat passed {};
  struct stat wanted {};
  ASSERT_EQ(::fstat(server.received.fds[0].get(), &passed), 0);
  ASSERT_EQ(::stat("/usr", &wanted), 0);
  EXPECT_EQ(passed.st_ino, wanted.st_ino);
}

TEST(OfferMount, SaysWhyTheDeskRefused) {
  OneShotServer server(std::string("\x0b\0\0\0", 4) + std::string(16, '\0'));  // EAGAIN
  const auto token = offer_mount(server.path(), {"/usr", "/proc", false});
  ASSERT_FALSE(token.ok());
  EXPECT_EQ(token.error().message(),
            "-v /usr:/proc: 8 directories of yours wait to be mounted already, or 64 of everybody's");
}

TEST(OfferMount, TakesAnAnswerOfAnotherFormForNone) {
  OneShotServer server("who are you?");
  const auto token = offer_mount(server.path(), {"/usr", "/in", false});
  ASSERT_FALSE(token.ok());
  EXPECT_EQ(token.error().code(), ErrorCode::unavailable);
}

TEST(OfferMount, OpensTheDirectoryItselfAndSaysWhyItCannot) {
  const auto missing = offer_mount("/nowhere", {"/no/such/directory", "/in", false});
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().message().find("No such file"), std::string::npos);
  const auto file = offer_mount("/nowhere", {"/etc/passwd", "/in", false});
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.error().message(), "-v /etc/passwd:/in: /etc/passwd is not a directory");
}

TEST(OfferFile, PassesTheOpenedFileAndGetsAToken) {
  OneShotServer server(std::string(4, '\0') + std::string(16, '\n'));
  const auto token = offer_file(server.path(), "/etc/passwd");
  server.finish();
  ASSERT_TRUE(token.ok()) << token.error().message();
  EXPECT_EQ(*token, "0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a");
  ASSERT_EQ(server.received.count, 1U);
  char first = 0;
  EXPECT_EQ(::read(server.received.fds[0].get(), &first, 1), 1);
}

TEST(OfferFile, OpensTheFileItselfAndSaysWhyItCannot) {
  EXPECT_EQ(offer_file("/nowhere", "/no/such/file").error().code(), ErrorCode::not_found);
  EXPECT_EQ(offer_file("/nowhere", "/usr").error().message(), "/usr is no regular file");
  EXPECT_EQ(offer_file("/nowhere/files.sock", "/etc/passwd").error().message(),
            "connect to /nowhere/files.sock: No such file or directory");
}

TEST(OfferMount, SaysThatNobodyTakesIt) {
  const auto token = offer_mount("/nowhere/mounts.sock", {"/usr", "/in", false});
  ASSERT_FALSE(token.ok());
  EXPECT_EQ(token.error().message(), "-v /usr:/in: connect to /nowhere/mounts.sock: No such file or directory");
}

}  // namespace
}  // namespace lmsb::cli
