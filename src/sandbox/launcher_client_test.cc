#include "sandbox/launcher_client.h"

#include <cstring>
#include <fcntl.h>
#include <sys/resource.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/message_socket.h"

namespace lmsb::sandbox {
namespace {

// A client, and the launcher's end of its socket: both non-blocking.
class LauncherClientTest : public testing::Test {
 protected:
  LauncherClientTest() : client_(make_socket()) {}

  UniqueFd make_socket() {
    UniqueFd ours;
    EXPECT_TRUE(message_socket_pair(ours, launcher_, SOCK_NONBLOCK));
    return ours;
  }

  // The number of the next request that has arrived; 0 when there is none.
  std::uint32_t arrived() {
    LaunchRequest request;
    ReceivedFds fds;
    if (receive_message(launcher_.get(), &request, sizeof request, fds) <= 0) return 0;
    return request.header.request;
  }

  UniqueFd launcher_;
  LauncherClient client_;
};

TEST_F(LauncherClientTest, KeepsWhatAFullSocketDoesNotTakeAndSendsItInOrder) {
  constexpr std::uint32_t kRequests = 200;  // many more than a socket holds
  for (std::uint32_t i = 1; i <= kRequests; ++i) {
    const auto request = i % 2 == 0 ? client_.send_destroy(i, LauncherClient::Disk::remove) : client_.send_launch({});
    ASSERT_TRUE(request.ok());
    EXPECT_EQ(*request, i);
  }
  EXPECT_TRUE(client_.has_unsent());
  for (std::uint32_t i = 1; i <= kRequests; ++i) {
    std::uint32_t request = arrived();
    if (request == 0) {
      ASSERT_TRUE(client_.flush().ok());
      request = arrived();
    }
    EXPECT_EQ(request, i);
  }
  EXPECT_FALSE(client_.has_unsent());
}

TEST_F(LauncherClientTest, RefusesLaunchesBeyondItsBoundButNoDestroy) {
  Result<std::uint32_t> launched = 0U;
  for (int i = 0; i < 5000 && launched.ok(); ++i) launched = client_.send_launch({});
  ASSERT_FALSE(launched.ok());
  EXPECT_EQ(launched.error().code(), ErrorCode::resource_exhausted);
  EXPECT_TRUE(client_.send_destroy(1, LauncherClient::Disk::remove).ok());
}

TEST_F(LauncherClientTest, NamesALauncherThatIsGone) {
  launcher_.reset();
  const auto request = client_.send_launch({});
  ASSERT_FALSE(request.ok());
  EXPECT_EQ(request.error().code(), ErrorCode::unavailable);
  EXPECT_EQ(request.error().slug(), "launcher_lost");
}

// Lowers how many descriptors this process may have to what it has.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const UniqueFd next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const rlimit none{static_cast<rlim_t>(next.get()), before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoMoreDescriptors() { (void)::setrlimit(RLIMIT_NOFILE, &before_); }
  NoMoreDescriptors(const NoMoreDescriptors&) = delete;
  NoMoreDescriptors& operator=(const NoMoreDescriptors&) = delete;

 private:
  rlimit before_{};
};

TEST_F(LauncherClientTest, TellsOfASandboxWhoseDescriptorsItCouldNotTakeAndGoesOn) {
  LauncherAnswer answer{7, LauncherStep::none, 0, 100, 42};
  const iovec part{&answer, sizeof answer};
  const std::vector<int> fds(kOneShotFds, 0);
  ASSERT_TRUE(send_message(launcher_.get(), &part, 1, fds.data(), fds.size()));
  {
    const NoMoreDescriptors none;
    const auto told = client_.receive();
    ASSERT_TRUE(told.ok() && told->has_value());
    EXPECT_EQ((*told)->request, 7U);
    EXPECT_EQ((*told)->lost, 42U);
    EXPECT_EQ((*told)->launched.error().slug(), "too_many_sandboxes");
  }
  ASSERT_TRUE(send_message(launcher_.get(), &part, 1, fds.data(), fds.size()));
  const auto next = client_.receive();
  ASSERT_TRUE(next.ok() && next->has_value());
  EXPECT_EQ((*next)->lost, 0U);
  EXPECT_EQ((*next)->launched->serial, 42U);
  EXPECT_TRUE((*next)->launched->channel);
  EXPECT_FALSE((*next)->launched->freeze);
}

}  // namespace
}  // namespace lmsb::sandbox
