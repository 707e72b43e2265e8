#include "launcher/power.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace lmsb::launcher {
namespace {

bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

// Runs `body` in a process of its own; 0 = it is content.
template <class Body>
int in_child(const Body& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = -1;
  ::waitpid(child, &status, 0);
  return status;
}

TEST(Power, ClosesWhatNobodyNamed) {
  const auto body = [] {
    for (const int fd : {70, 71, 200})
      if (::dup2(1, fd) < 0) return 1;
    if (!close_all_but({200, 70, 70, -1}).ok()) return 2;
    for (const int fd : {0, 1, 2, 70, 200})
      if (!is_open(fd)) return 3;
    for (int fd = 3; fd < 400; ++fd)
      if (is_open(fd) != (fd == 70 || fd == 200)) return 4;
    return 0;
  };
  EXPECT_EQ(in_child(body), 0);
}

TEST(Power, LimitsOfTheStarterAreNotItsSandboxes) {
  const auto body = [] {
    rlimit limit{};
    if (::getrlimit(RLIMIT_AS, &limit) < 0) return 1;
    const rlim_t most = limit.rlim_max;
    limit.rlim_cur = rlim_t{64} << 30U;
    if (::setrlimit(RLIMIT_AS, &limit) < 0) return 2;
    raise_limits();
    if (::getrlimit(RLIMIT_AS, &limit) < 0) return 3;
    return limit.rlim_cur == limit.rlim_max && limit.rlim_max >= most ? 0 : 4;
  };
  EXPECT_EQ(in_child(body), 0);
}

TEST(Power, FiltersTheCallsOfTheDaemon) {
  const auto body = [] {
    if (const Status given_up = give_up_daemon_power(); !given_up.ok()) return 1;
    if (::fork() >= 0 || errno != EPERM) return 2;
    return ::open("/dev/null", O_RDONLY) >= 0 ? 0 : 3;
  };
  EXPECT_EQ(in_child(body), 0);
}

}  // namespace
}  // namespace lmsb::launcher
