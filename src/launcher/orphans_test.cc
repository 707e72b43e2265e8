#include "launcher/orphans.h"

#include <cerrno>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace lmsb::launcher {
namespace {

// A stopped process hears nothing but SIGKILL; its parent is gone.
TEST(Orphans, AreKilledAndReaped) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!adopt_orphans().ok()) ::_exit(1);
    const pid_t launcher = ::fork();
    if (launcher == 0) {
      const pid_t guest = ::fork();
      if (guest == 0) {
        ::raise(SIGSTOP);
        ::_exit(0);
      }
      int status = 0;
      ::waitpid(guest, &status, WUNTRACED);
      ::_exit(0);
    }
    ::waitpid(launcher, nullptr, 0);
    end_orphans(60'000, {});
    ::_exit(::waitpid(launcher, nullptr, 0) < 0 && ::wait(nullptr) < 0 && errno == ECHILD ? 0 : 2);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Orphans, ThatHaveEndedAreReapedAndAwaitedOnesAreNot) {
  const auto ended = [] {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(7);
    siginfo_t info{};
    ::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
    return pid;
  };
  const pid_t first = ended();
  reap_orphans({});
  EXPECT_TRUE(::waitpid(first, nullptr, 0) < 0 && errno == ECHILD);
  const pid_t awaited = ended();
  reap_orphans({awaited});
  int status = -1;
  EXPECT_EQ(::waitpid(awaited, &status, 0), awaited);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

TEST(Orphans, ThatAreSparedLiveOn) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!adopt_orphans().ok()) ::_exit(1);
    const auto waiting = [] {
      const pid_t pid = ::fork();
      if (pid == 0) ::pause();
      return pid;
    };
    const pid_t spared = waiting();
    const pid_t other = waiting();
    end_orphans(60'000, {spared});
    const bool lives = ::kill(spared, 0) == 0 && ::waitpid(spared, nullptr, WNOHANG) == 0;
    const bool is_gone = ::waitpid(other, nullptr, WNOHANG) < 0 && errno == ECHILD;
    ::kill(spared, SIGKILL);
    ::waitpid(spared, nullptr, 0);
    ::_exit(lives && is_gone ? 0 : 2);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Orphans, AreNotTheChildrenThatWereThereBefore) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto waiting = [] {
      const pid_t pid = ::fork();
      if (pid == 0) ::pause();
      return pid;
    };
    const pid_t sidecar = waiting();
    const pid_t ended = waiting();
    const auto foreign = ForeignChildren::find();
    const pid_t ours = waiting();
    if (!foreign.ok() || !adopt_orphans().ok()) ::_exit(1);
    const bool both = foreign->living() == std::set<pid_t>{sidecar, ended};
    ::kill(ended, SIGKILL);
    ::waitpid(ended, nullptr, 0);
    const bool one = foreign->living() == std::set<pid_t>{sidecar};
    end_orphans(60'000, foreign->living());
    const bool lives = ::waitpid(sidecar, nullptr, WNOHANG) == 0;
    const bool is_gone = ::waitpid(ours, nullptr, WNOHANG) < 0 && errno == ECHILD;
    ::kill(sidecar, SIGKILL);
    ::_exit(both && one && lives && is_gone ? 0 : 2);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Orphans, AreNotTakenForNoneWhereThatCannotBeTold) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!ForeignChildren::find().ok()) ::_exit(1);
    constexpr rlimit kNone{0, 0};
    if (::setrlimit(RLIMIT_NOFILE, &kNone) < 0) ::_exit(2);
    ::_exit(ForeignChildren::find().ok() ? 3 : 0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace lmsb::launcher
