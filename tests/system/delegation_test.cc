// The cgroup that a service manager hands over (systemd: Delegate=yes), where cgroup v2 has the controllers.
#include <algorithm>
#include <fcntl.h>
#include <functional>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "launcher/cgroup_host.h"
#include "launcher/cgroup_tree.h"
#include "os/end_with_parent.h"
#include "support/launcher_process.h"

namespace lmsb {
namespace {

std::string v2_mount() {
  const auto hierarchies = launcher::find_hierarchies();
  for (const launcher::Hierarchy& hierarchy : *hierarchies)
    if (hierarchy.is_v2) return hierarchy.mount_point;
  return "";
}

bool has_word(const std::string& text, const std::string& word) {
  std::istringstream words(text);
  return std::find(std::istream_iterator<std::string>(words), {}, word) != std::istream_iterator<std::string>();
}

// A cgroup at the top of v2, with `controller` for it to enable; gone afterwards.
class TestCgroup {
 public:
  explicit TestCgroup(const std::string& controller) : top_(v2_mount()), controller_(controller) {
    if (!has_word(os::read_text(top_ + "/cgroup.controllers"), controller)) return;
    was_enabled_ = has_word(os::read_text(top_ + "/cgroup.subtree_control"), controller);
    if (!os::write_text(top_ + "/cgroup.subtree_control", "+" + controller).ok()) return;
    path_ = top_ + "/delegation-test-" + std::to_string(::getpid());
    EXPECT_EQ(::mkdir(path_.c_str(), 0755), 0);
  }
  ~TestCgroup() {
    if (path_.empty()) return;
    for (int tries = 1000; !remove() && errno == EBUSY && tries > 0; --tries) ::usleep(5000);
    EXPECT_NE(::access(path_.c_str(), F_OK), 0);
    if (!was_enabled_) (void)os::write_text(top_ + "/cgroup.subtree_control", "-" + controller_);
  }
  TestCgroup(const TestCgroup&) = delete;
  TestCgroup& operator=(const TestCgroup&) = delete;

  explicit operator bool() const { return !path_.empty(); }
  const std::string& path() const { return path_; }
  std::string read(const std::string& name) const { return os::read_text(path_ + "/" + name); }

 private:
  // Whom it held may leave it a moment after they were waited for.
  bool remove() const {
    ::rmdir((path_ + "/" + launcher::kSupervisorLeaf).c_str());
    return ::rmdir(path_.c_str()) == 0;
  }

  std::string top_;
  std::string controller_;
  std::string path_;
  bool was_enabled_ = false;
};

// A process that waits to be killed.
class Sleeper {
 public:
  explicit Sleeper(const std::function<void()>& first) {
    const pid_t test = ::getpid();
    pid_ = ::fork();
    if (pid_ != 0) return;
    if (!os::end_with_parent(test, SIGKILL)) ::_exit(1);
    first();
    for (;;) ::pause();
  }
  ~Sleeper() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Sleeper(const Sleeper&) = delete;
  Sleeper& operator=(const Sleeper&) = delete;
  std::string pid() const { return std::to_string(pid_); }

 private:
  pid_t pid_ = -1;
};

// Any controller will do for the kernel's rule, and on hybrid machines one is often left to v2.
TEST(Delegation, MakesRoomInACgroupThatHasProcesses) {
  if (::geteuid() != 0) GTEST_SKIP() << "root is needed to make cgroups";
  const std::string controllers = os::read_text(v2_mount() + "/cgroup.controllers");
  std::string controller;
  for (const char* name : {"hugetlb", "pids", "memory", "io"})
    if (controller.empty() && has_word(controllers, name)) controller = name;
  if (controller.empty()) GTEST_SKIP() << "cgroup v2 has no controller on this machine";
  const TestCgroup cgroup(controller);
  ASSERT_TRUE(cgroup);
  const Sleeper one([] {});
  const Sleeper other([] {});
  for (const Sleeper* sleeper : {&one, &other})
    ASSERT_TRUE(os::write_text(cgroup.path() + "/cgroup.procs", sleeper->pid()).ok());
  EXPECT_FALSE(os::write_text(cgroup.path() + "/cgroup.subtree_control", "+" + controller).ok()) << "the kernel's rule";
  const UniqueFd directory(::open(cgroup.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Status enabled = launcher::enable_controllers(directory.get(), "+" + controller);
  EXPECT_TRUE(enabled.ok()) << (enabled.ok() ? "" : enabled.error().message());
  EXPECT_TRUE(has_word(cgroup.read("cgroup.subtree_control"), controller));
  EXPECT_EQ(cgroup.read("cgroup.procs"), "");
  const std::string moved = cgroup.read(std::string(launcher::kSupervisorLeaf) + "/cgroup.procs");
  EXPECT_TRUE(has_word(moved, one.pid()) && has_word(moved, other.pid())) << moved;
}

// What is asked in a process that may open `spare` more descriptors than this one has: 0, it cannot be told; 1, all
// that stays is; 2, less.
int ask_what_stays(const std::string& name, pid_t guest, rlim_t spare) {
  const pid_t asker = ::fork();
  if (asker == 0) {
    const rlimit limit{static_cast<rlim_t>(UniqueFd(::dup(0)).get()) + spare, 4096};
    if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) ::_exit(3);
    const auto staying = launcher::CgroupTree::staying_guests(name, launcher::Starter::root);
    ::_exit(!staying.ok() ? 0 : *staying == std::set<pid_t>{guest} ? 1 : 2);
  }
  int status = -1;
  ::waitpid(asker, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Staying, IsNotTakenForNothingHoweverFewDescriptorsThereAre) {
  if (::geteuid() != 0) GTEST_SKIP() << "root is needed to make cgroups";
  const std::string name = "staying-test-" + std::to_string(::getpid());
  auto tree = launcher::CgroupTree::open(name, launcher::limits_of_all());
  ASSERT_TRUE(tree.ok()) << tree.error().message();
  const std::string branch = tree->v2_mount() + "/" + tree->v2_path() + "/one";
  ASSERT_EQ(::mkdir(branch.c_str(), 0755), 0);
  {
    const Sleeper guest([] {});
    const pid_t pid = std::stoi(guest.pid());
    EXPECT_TRUE(os::write_text(branch + "/cgroup.procs", guest.pid()).ok());
    EXPECT_TRUE(tree->let_stay("one", {pid, true, 0, 0, 0}).ok());
    std::vector<int> answers;
    for (rlim_t spare = 0; spare <= 8; ++spare) answers.push_back(ask_what_stays(name, pid, spare));
    EXPECT_TRUE(std::is_sorted(answers.begin(), answers.end())) << testing::PrintToString(answers);
    EXPECT_EQ(answers.front(), 0);
    EXPECT_EQ(answers.back(), 1) << testing::PrintToString(answers);
  }
  tree->end({"one"});
  tree->close();
}

// The launcher in a cgroup that is marked as its own, itself inside, as a service starts.
class DelegatedLauncher : public LauncherTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "root is needed to run a launcher";
    if (!has_word(os::read_text(v2_mount() + "/cgroup.controllers"), "memory"))
      GTEST_SKIP() << "the memory controller is not in cgroup v2 on this machine";
    cgroup_ = std::make_unique<TestCgroup>("memory");
    ASSERT_TRUE(*cgroup_);
    (void)os::write_text(v2_mount() + "/cgroup.subtree_control", "+pids +cpu");
    ASSERT_EQ(::setxattr(cgroup_->path().c_str(), "trusted.delegate", "1", 1, 0), 0);
    LauncherTest::SetUp();
  }
  void TearDown() override {
    LauncherTest::TearDown();
    cgroup_.reset();
  }
  // In the launcher's process.
  launcher::Policy changed_policy() const override {
    (void)os::write_text(cgroup_->path() + "/cgroup.procs", "0");
    return {};
  }

  std::unique_ptr<TestCgroup> cgroup_;
};

TEST_F(DelegatedLauncher, KeepsItsSandboxesInTheCgroupThatItWasGiven) {
  const ReceivedFds sandbox = launch(good_plan());
  EXPECT_TRUE(
      has_word(cgroup_->read(std::string(launcher::kSupervisorLeaf) + "/cgroup.procs"), std::to_string(child_)));
  const std::string ours = "lmsb-hostile-" + std::to_string(child_);
  const std::string at = os::read_text("/proc/" + guest() + "/cgroup");
  EXPECT_NE(at.find(cgroup_->path().substr(v2_mount().size()) + "/" + ours), std::string::npos) << at;
  EXPECT_EQ(cgroup_->read(ours + "/memory.max") == "max\n", false);
}

}  // namespace
}  // namespace lmsb
