// The processes that the launcher clones, when the launcher dies before it has told them anything.
#include "launcher/spawn.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <gtest/gtest.h>

#include "launcher/cgroup_host.h"
#include "os/files.h"
#include "os/memfd.h"
#include "os/message_socket.h"

namespace lmsb {
namespace {

// A v2 cgroup, gone afterwards.
class TestCgroup {
 public:
  TestCgroup() {
    const auto hierarchies = launcher::find_hierarchies();
    for (const launcher::Hierarchy& hierarchy : *hierarchies)
      if (hierarchy.is_v2) path_ = hierarchy.mount_point + "/spawn-test-" + std::to_string(::getpid());
    ::mkdir(path_.c_str(), 0755);
    fd_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  // Whom it held may leave it a moment after they were waited for.
  ~TestCgroup() {
    for (int tries = 1000; ::rmdir(path_.c_str()) < 0 && errno == EBUSY && tries > 0; --tries) ::usleep(5000);
    EXPECT_NE(::access(path_.c_str(), F_OK), 0);
  }
  TestCgroup(const TestCgroup&) = delete;
  TestCgroup& operator=(const TestCgroup&) = delete;
  int fd() const { return fd_.get(); }

 private:
  std::string path_;
  UniqueFd fd_;
};

// It would wait for ever if it held the other end of its own channel.
TEST(Spawn, AGuestWhoseLauncherIsGoneEnds) {
  if (::geteuid() != 0) GTEST_SKIP() << "root is needed to clone into a cgroup";
  const TestCgroup cgroup;
  auto program = os::make_sealed_memfd("program", "never executed");
  ASSERT_TRUE(program.ok());
  UniqueFd ours;
  UniqueFd theirs;
  ASSERT_TRUE(message_socket_pair(ours, theirs));
  auto guest = launcher::spawn_guest(program->get(), theirs.get(), cgroup.fd(), {}, ::geteuid());
  ASSERT_TRUE(guest.ok());
  ours.reset();
  theirs.reset();
  pollfd wait{guest->pidfd.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 20'000), 1) << "it waits for itself";
  ::kill(guest->pid, SIGKILL);
  ::waitpid(guest->pid, nullptr, 0);
}

// What the kernel counts for a user namespace counts for who made it, too.
TEST(Spawn, AGuestsUserNamespaceIsItsOwnersAndTheLauncherStaysWhoItIs) {
  if (::geteuid() != 0) GTEST_SKIP() << "root is needed to be somebody else for a while";
  constexpr uid_t kOwner = 1073872896;
  const TestCgroup cgroup;
  auto program = os::make_sealed_memfd("program", "never executed");
  ASSERT_TRUE(program.ok());
  UniqueFd ours;
  UniqueFd theirs;
  ASSERT_TRUE(message_socket_pair(ours, theirs));
  const std::string before = os::read_text("/proc/self/status");
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  auto guest = launcher::spawn_guest(program->get(), theirs.get(), cgroup.fd(), {}, kOwner);
  ASSERT_TRUE(guest.ok()) << guest.error().message();
  uid_t owner = 0;
  EXPECT_EQ(::ioctl(guest->user_namespace.get(), NS_GET_OWNER_UID, &owner), 0);
  EXPECT_EQ(owner, kOwner);
  const std::string after = os::read_text("/proc/self/status");
  for (const char* field : {"\nUid:", "\nCapPrm:", "\nCapEff:"}) {
    const auto line = [field](const std::string& text) {
      return text.substr(text.find(field), text.find('\n', text.find(field) + 1) - text.find(field));
    };
    EXPECT_EQ(line(after), line(before));
  }
  int told_of_death = 0;
  ::prctl(PR_GET_PDEATHSIG, &told_of_death);
  EXPECT_EQ(told_of_death, SIGTERM);
  EXPECT_EQ(::prctl(PR_GET_DUMPABLE), 0) << "it is closed, as it was";
  ::prctl(PR_SET_PDEATHSIG, 0);
  ::kill(guest->pid, SIGKILL);
  ::waitpid(guest->pid, nullptr, 0);
}

}  // namespace
}  // namespace lmsb
