#include "sandbox/launcher_client.h"

#include <cstring>
#include <fcntl.h>

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
    const auto request = i % 2 == 0 ? client_.send_destroy(i) : client_.send_launch({});
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
  EXPECT_TRUE(client_.send_destroy(1).ok());
}

TEST_F(LauncherClientTest, NamesALauncherThatIsGone) {
  launcher_.reset();
  const auto request = client_.send_launch({});
  ASSERT_FALSE(request.ok());
  EXPECT_EQ(request.error().code(), ErrorCode::unavailable);
}

}  // namespace
}  // namespace lmsb::sandbox
