#include "os/end_with_parent.h"

#include <array>
#include <csignal>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace lmsb::os {
namespace {

// Reaps a child of a child, which comes to the test when its parent has ended.
class EndWithParent : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    ASSERT_EQ(::pipe(ends_.data()), 0);
  }
  void TearDown() override {
    for (const int end : ends_) ::close(end);
    (void)::prctl(PR_SET_CHILD_SUBREAPER, 0);
  }
  // How the grandchild has ended.
  static int wait_grandchild(pid_t child) {
    EXPECT_EQ(::waitpid(child, nullptr, 0), child);
    int status = -1;
    EXPECT_GT(::wait(&status), 0);
    return status;
  }
  void say() const { (void)!::write(ends_[1], "1", 1); }
  void hear() const {
    char byte = 0;
    (void)!::read(ends_[0], &byte, 1);
  }
  std::array<int, 2> ends_{};
};

TEST_F(EndWithParent, IsToldOfOneThatEndsLater) {
  const pid_t child = ::fork();
  if (child == 0) {
    const pid_t parent = ::getpid();
    if (::fork() == 0) {
      const bool is_asked = end_with_parent(parent, SIGKILL);
      say();
      if (!is_asked) ::_exit(1);
      for (;;) ::pause();
    }
    hear();
    ::_exit(0);
  }
  const int status = wait_grandchild(child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST_F(EndWithParent, SeesOneThatEndedBefore) {
  const pid_t child = ::fork();
  if (child == 0) {
    const pid_t parent = ::getpid();
    if (::fork() == 0) {
      hear();  // that it has ended
      ::_exit(end_with_parent(parent, SIGKILL) ? 1 : 7);
    }
    ::_exit(0);
  }
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT), 0);
  say();
  const int status = wait_grandchild(child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

}  // namespace
}  // namespace lmsb::os
