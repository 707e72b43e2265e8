// The processes that the launcher starts, before it has told them anything.
#include "launcher/spawn.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <poll.h>
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
    for (const launcher::Hierarchy& hierarchy : launcher::find_hierarchies())
      if (hierarchy.is_v2) path_ = hierarchy.mount_point + "/spawn-test-" + std::to_string(::getpid());
    ::mkdir(path_.c_str(), 0755);
    fd_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~TestCgroup() { EXPECT_EQ(::rmdir(path_.c_str()), 0); }
  TestCgroup(const TestCgroup&) = delete;
  TestCgroup& operator=(const TestCgroup&) = delete;
  int fd() const { return fd_.get(); }

 private:
  std::string path_;
  UniqueFd fd_;
};

class Spawn : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "root is needed to clone into a cgroup";
    cgroup_.emplace();
    ASSERT_TRUE(message_socket_pair(ours_, theirs_));
  }

  Result<launcher::GuestProcess> spawn(std::string_view program, const std::vector<UniqueFd>& join = {}) {
    LMSB_TRY(const UniqueFd file, os::make_sealed_memfd("program", program));
    return launcher::spawn_guest(file.get(), theirs_.get(), cgroup_->fd(), join);
  }

  static std::string guest_program() { return os::read_text(LMSB_GUEST); }
  static std::string program_of(pid_t pid) {
    return std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe").string();
  }
  static bool ends(const launcher::GuestProcess& guest) {
    pollfd wait{guest.pidfd.get(), POLLIN, 0};
    const bool ended = ::poll(&wait, 1, 20'000) == 1;
    ::kill(guest.pid, SIGKILL);
    ::waitpid(guest.pid, nullptr, 0);
    return ended;
  }

  std::optional<TestCgroup> cgroup_;
  UniqueFd ours_;
  UniqueFd theirs_;
};

// It would wait for ever if it held the other end of its own channel.
TEST_F(Spawn, AGuestWhoseLauncherIsGoneEnds) {
  const auto guest = spawn(guest_program());
  ASSERT_TRUE(guest.ok()) << guest.error().message();
  ours_.reset();
  theirs_.reset();
  EXPECT_TRUE(ends(*guest)) << "it waits for itself";
}

TEST_F(Spawn, AProgramThatCannotBeExecutedIsAnErrorAndLeavesNoProcess) {
  const auto guest = spawn("no program");
  ASSERT_FALSE(guest.ok());
  EXPECT_EQ(guest.error().sys_errno(), ENOEXEC);
  siginfo_t left{};
  EXPECT_EQ(::waitid(P_ALL, 0, &left, WEXITED | WNOHANG | WNOWAIT), -1);
}

// The child shares the launcher's memory until then.
TEST_F(Spawn, ReturnsWhenTheGuestHasMemoryOfItsOwn) {
  const auto guest = spawn(guest_program());
  ASSERT_TRUE(guest.ok()) << guest.error().message();
  EXPECT_EQ(program_of(guest->pid), "/memfd:program (deleted)");
  ours_.reset();
  theirs_.reset();
  EXPECT_TRUE(ends(*guest));
}

TEST_F(Spawn, TheGuestEntersTheCgroupsThatItIsGivenAndKeepsNothingOfThem) {
  std::array<int, 2> one{};
  std::array<int, 2> two{};
  ASSERT_EQ(::pipe(one.data()) + ::pipe(two.data()), 0);
  std::vector<UniqueFd> join;
  join.emplace_back(one[1]);
  join.emplace_back(two[1]);
  const auto guest = spawn(guest_program(), join);
  ASSERT_TRUE(guest.ok()) << guest.error().message();
  join.clear();
  for (const int end : {one[0], two[0]}) {
    std::array<char, 8> said{};
    EXPECT_EQ(::read(end, said.data(), said.size()), 1);  // "0": whoever writes it enters
    EXPECT_EQ(said[0], '0');
    EXPECT_EQ(::read(end, said.data(), said.size()), 0);  // nobody holds it any more
    ::close(end);
  }
  ours_.reset();
  theirs_.reset();
  EXPECT_TRUE(ends(*guest));
}

}  // namespace
}  // namespace lmsb
