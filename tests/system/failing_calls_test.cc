// What libraries ask of the kernel is refused, one call after the other: each n-th call of what they do fails, for
// every n. Whatever they had by then is given back. test_injected.py does it to whole programs.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <future>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "launcher/cgroup_host.h"
#include "launcher/cgroup_tree.h"
#include "launcher/disk_store.h"
#include "launcher/orphans.h"
#include "launcher/spawn.h"
#include "os/atomic_file.h"
#include "os/file_lock.h"
#include "os/files.h"
#include "os/loop_device.h"
#include "os/make_pipe.h"
#include "os/memfd.h"
#include "os/message_socket.h"
#include "os/name_list.h"
#include "os/small_file.h"
#include "os/sys.h"
#include "os/tree_walk.h"

namespace lmsb {
namespace {

namespace fs = std::filesystem;

// Not failed: what frees something, or cannot fail as it is used (a signal to an own child, waiting for it), and
// memory, whose lack ends a program.
constexpr std::array kSpared = {
    SYS_close,       SYS_kill,   SYS_pidfd_send_signal, SYS_wait4,        SYS_waitid,
    SYS_munmap,      SYS_mmap,   SYS_mprotect,          SYS_brk,          SYS_madvise,
    SYS_futex,       SYS_exit,   SYS_exit_group,        SYS_rt_sigreturn, SYS_gettid,
    SYS_getpid,      SYS_getuid, SYS_geteuid,           SYS_getgid,       SYS_getegid,
    SYS_sched_yield, SYS_rseq,   SYS_rt_sigprocmask,    SYS_rt_sigaction, SYS_set_robust_list};

// Whether a call of the thread that made this is refused by another thread, which stands in for the kernel (seccomp's
// user notification). A process has one, and lives with its filter until it ends.
class Refuser {
 public:
  Refuser(unsigned nth, int error) : nth_(nth), error_(error), thread_(::gettid()), decides_([this] { decide(); }) {
    filter();
    listener_.set_value(listening_.get());
  }
  ~Refuser() = delete;  // it lives as long as its process
  Refuser(const Refuser&) = delete;
  Refuser& operator=(const Refuser&) = delete;

  void begin() { counts_ = true; }
  void end() { counts_ = false; }
  bool has_refused() const { return seen_ >= nth_; }
  int call() const { return call_; }

 private:
  void filter() {
    std::vector<sock_filter> program = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
    for (const long call : kSpared) {
      program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1));
      program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
    const sock_fprog all{static_cast<unsigned short>(program.size()), program.data()};
    listening_.reset(sys::seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &all));
    if (!listening_) ::_exit(kNoFilter);
  }
  void decide() {
    const int listener = listener_.get_future().get();
    while (true) {
      seccomp_notif asked{};
      if (::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) < 0) continue;  // who asked has ended
      seccomp_notif_resp answer{asked.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE};
      if (counts_ && static_cast<pid_t>(asked.pid) == thread_ && ++seen_ == nth_) {
        call_ = asked.data.nr;
        answer = {asked.id, 0, -error_, 0};
      }
      (void)::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    }
  }

 public:
  static constexpr int kNoFilter = 3;  // the exit status

 private:
  const unsigned nth_;
  const int error_;
  const pid_t thread_;
  std::atomic<bool> counts_ = false;
  std::atomic<unsigned> seen_ = 0;
  std::atomic<int> call_ = -1;
  UniqueFd listening_;
  std::promise<int> listener_;
  std::thread decides_;
};

// Of the calling process, which starts none from other threads: their numbers.
std::string children() {
  const std::string self = std::to_string(::getpid());
  return os::read_text("/proc/" + self + "/task/" + self + "/children");
}

// What a process has of the kernel, and of what lies below `directory` and in control groups of that name.
struct Belongings {
  std::set<std::string> things;

  static Belongings of(const fs::path& directory, const std::string& name) {
    Belongings found;
    for (const auto& entry : fs::directory_iterator("/proc/self/fd"))
      found.things.insert("descriptor " + entry.path().filename().string());
    for (const auto& entry : fs::recursive_directory_iterator(directory))
      if (os::is_hidden_name(entry.path().filename().string())) found.things.insert("file " + entry.path().string());
    const auto hierarchies = launcher::find_hierarchies();
    for (const launcher::Hierarchy& hierarchy : *hierarchies)
      if (fs::exists(hierarchy.mount_point + "/lmsb-" + name))
        found.things.insert("cgroup in " + hierarchy.mount_point);
    for (const auto& device : fs::directory_iterator("/sys/block"))
      if (const auto file = os::read_small_file(device.path().string() + "/loop/backing_file");
          file && file->compare(0, directory.string().size(), directory.string()) == 0)
        found.things.insert("loop device");
    found.things.insert("mounts: " + std::to_string(mounts()));
    if (!children().empty()) found.things.insert("a child");
    return found;
  }

 private:
  static std::size_t mounts() {
    const std::string text = os::read_text("/proc/self/mountinfo");
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }
};

class FailingCalls : public testing::Test {
 protected:
  using Finish = std::function<void()>;  // gives back what was got, with every call allowed
  // What is tried. Its result does not matter, only what is left of it.
  using Work = std::function<Finish()>;

  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "root is needed for namespaces, cgroups and loop devices";
    std::string pattern = (fs::temp_directory_path() / "lmsb-calls-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    open_.reset(::open(pattern.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ASSERT_TRUE(launcher::adopt_orphans().ok());
  }
  void TearDown() override {
    if (!directory_.empty()) fs::remove_all(directory_);
  }

  // Returns how many calls there were to fail.
  unsigned give_back_whatever_fails(const Work& work) {
    unsigned calls = 0;
    for (const int error : {EIO, EMFILE, ENOSPC}) {
      calls = 0;
      while (calls < kMostCalls && fail(work, calls + 1, error)) ++calls;
      EXPECT_LT(calls, kMostCalls);
    }
    return calls;
  }

 private:
  // False: there was no n-th call, or it could not be tried.
  bool fail(const Work& work, unsigned nth, int error) {
    const pid_t tried = ::fork();
    if (tried == 0) ::_exit(attempt(work, nth, error));
    int status = 0;
    ::waitpid(tried, &status, 0);
    const int told = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    const bool gave_up = may_give_up_ && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
    // Those that one that gave up has left would end with its channel, if their calls were not put to its thread.
    launcher::end_orphans(10'000, {});
    EXPECT_TRUE(told == kClean || told == kNotReached || gave_up)
        << "call " << nth << " with " << ::strerror(error) << ": " << os::read_text((directory_ / "told").string())
        << (WIFSIGNALED(status) ? ::strsignal(WTERMSIG(status)) : "")
        << (told == Refuser::kNoFilter ? "no filter" : "");
    return told == kClean || told == kLeft || gave_up;
  }
  int attempt(const Work& work, unsigned nth, int error) const {
    Refuser& refuser = *new Refuser(nth, error);  // NOLINT(cppcoreguidelines-owning-memory): the process's
    const auto before = Belongings::of(directory_, name());
    refuser.begin();
    const Finish finish = work();
    refuser.end();
    if (finish) finish();
    const auto after = Belongings::of(directory_, name());
    if (!refuser.has_refused()) return kNotReached;
    std::string left;
    for (const std::string& thing : after.things)
      if (before.things.count(thing) == 0) left += " " + thing;
    if (left.empty()) return kClean;
    make_file("told", 0);
    (void)os::write_text(path("told"), "system call " + std::to_string(refuser.call()) + ", left:" + left);
    return kLeft;
  }

  static constexpr unsigned kMostCalls = 2000;
  static constexpr int kClean = 0, kNotReached = 77, kLeft = 1;

 protected:
  static std::string name() { return "failing-calls-" + std::to_string(::getppid()); }
  // It ends rather than go on as it is.
  void let_give_up() { may_give_up_ = true; }
  int directory() const { return open_.get(); }
  std::string path(const char* file) const { return (directory_ / file).string(); }
  void make_file(const char* file, off_t size) const {
    const UniqueFd made(::open(path(file).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    ASSERT_EQ(::ftruncate(made.get(), size), 0);
  }

 private:
  fs::path directory_;
  UniqueFd open_;
  bool may_give_up_ = false;
};

TEST_F(FailingCalls, LeaveNothingOfAFileThatIsReplaced) {
  EXPECT_GE(give_back_whatever_fails([this]() -> Finish {
              os::AtomicFile file(directory());
              int error = file.open(0600);
              if (error == 0) error = os::write_exactly(file.fd(), "text", 4);
              if (error == 0) (void)file.commit("named", os::AtomicFile::Existing::replaced);
              return {};
            }),
            3U);
}

TEST_F(FailingCalls, LeaveNothingOfSmallFiles) {
  make_file("small", 1);
  EXPECT_GE(give_back_whatever_fails([this]() -> Finish {
              (void)os::write_text(path("small"), "text");
              (void)os::read_whole_file(path("small"), Bytes::KiB(1));
              (void)os::read_small_file(path("small"));
              (void)os::read_text_at(directory(), "small");
              return {};
            }),
            8U);
}

TEST_F(FailingCalls, LeaveNothingOfFilesInMemory) {
  make_file("copied", 10'000);
  EXPECT_GE(give_back_whatever_fails([this]() -> Finish {
              (void)os::make_sealed_memfd("memory", "text");
              (void)os::make_sealed_copy("copy", path("copied"));
              return {};
            }),
            6U);
}

TEST_F(FailingCalls, LeaveNothingOfPipesAndMessages) {
  EXPECT_GE(give_back_whatever_fails([]() -> Finish {
              auto pipe = os::make_pipe();
              UniqueFd one, other;
              if (!pipe.ok() || !message_socket_pair(one, other)) return {};
              char octet = 'x';
              const iovec part{&octet, 1};
              const std::array<int, 2> sent = {pipe->read.get(), pipe->write.get()};
              if (!send_message(one.get(), &part, 1, sent.data(), sent.size())) return {};
              ReceivedFds received;
              (void)receive_message(other.get(), &octet, 1, received);
              return {};
            }),
            4U);
}

TEST_F(FailingCalls, LeaveNothingOfLocksAndLists) {
  for (const char* inner : {"a", "b", "a/c"}) fs::create_directory(path(inner));
  class Walk : public os::TreeWalk {
   public:
    using TreeWalk::TreeWalk;

   private:
    Next visit(const Found&) override { return Next::go_on; }
    Next problem(std::string_view, int) override { return Next::go_on; }
  };
  EXPECT_GE(give_back_whatever_fails([this]() -> Finish {
              const UniqueFd file(::open(path("lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
              if (file) (void)os::lock_file(file.get());
              os::NameList names;
              (void)names.load(directory());
              (void)Walk("").walk(directory());
              return {};
            }),
            8U);
}

TEST_F(FailingCalls, LeaveNoLoopDevice) {
  make_file("image", 1 << 20);
  EXPECT_GE(give_back_whatever_fails([this]() -> Finish {
              const UniqueFd file(::open(path("image").c_str(), O_RDWR | O_CLOEXEC));
              if (file) (void)os::attach_loop_device(file.get());
              return {};
            }),
            4U);
}

// What is on it would be mounted twice, and written by two.
TEST_F(FailingCalls, GiveNoFileASecondLoopDevice) {
  make_file("image", 1 << 20);
  const UniqueFd image(::open(path("image").c_str(), O_RDWR | O_CLOEXEC));
  const auto first = os::attach_loop_device(image.get());
  ASSERT_TRUE(first.ok()) << first.error().message();
  EXPECT_GE(give_back_whatever_fails([&]() -> Finish {
              auto again = std::make_shared<Result<os::LoopDevice>>(os::attach_loop_device(image.get()));
              return [this, again, &first] {
                if (again->ok() && (*again)->path != first->path) make_file("second", 0);
              };
            }),
            4U);
  EXPECT_FALSE(fs::exists(path("second")));
}

TEST_F(FailingCalls, LeaveNoProcessOfAUserNamespace) {
  EXPECT_GE(give_back_whatever_fails([]() -> Finish {
              (void)launcher::make_user_namespace("0 1073872896 65536\n", "0 1073872896 65536\n");
              return {};
            }),
            5U);
}

// A launcher that cannot become itself again ends.
TEST_F(FailingCalls, LeaveNoGuest) {
  let_give_up();
  const auto program = os::make_sealed_memfd("program", "never executed");
  ASSERT_TRUE(program.ok());
  std::string cgroup;
  const auto hierarchies = launcher::find_hierarchies();
  for (const launcher::Hierarchy& hierarchy : *hierarchies)
    if (hierarchy.is_v2) cgroup = hierarchy.mount_point + "/calls-test-" + std::to_string(::getpid());
  ASSERT_EQ(::mkdir(cgroup.c_str(), 0755), 0);
  UniqueFd group(::open(cgroup.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  EXPECT_GE(give_back_whatever_fails([&]() -> Finish {
              UniqueFd ours, theirs;
              if (!message_socket_pair(ours, theirs)) return {};
              auto made = launcher::spawn_guest(program->get(), theirs.get(), group.get(), {}, 1073872896);
              if (!made.ok()) return {};
              const auto guest = std::make_shared<launcher::GuestProcess>(*std::move(made));
              return [guest] {
                (void)::kill(guest->pid, SIGKILL);
                (void)::waitpid(guest->pid, nullptr, 0);
                *guest = {};
              };
            }),
            5U);
  group.reset();
  int removed = -1;
  for (int tries = 1000; (removed = ::rmdir(cgroup.c_str())) < 0 && errno == EBUSY && tries > 0; --tries)
    ::usleep(5000);
  EXPECT_EQ(removed, 0);
}

TEST_F(FailingCalls, LeaveNothingOfAStoreOfDisks) {
  if (auto made = launcher::DiskStore::open(path("store"), 2 * launcher::DiskStore::kFloor); !made.ok())
    GTEST_SKIP() << made.error().message();
  EXPECT_GE(give_back_whatever_fails([this]() -> Finish {
              constexpr const char* kDisk = "aaaaaaaaaaaaaaaaaaaa";
              auto store = launcher::DiskStore::open(path("store"), 0);
              if (!store.ok()) return {};
              (void)store->make(kDisk, 1 << 20);
              (void)store->claim(kDisk);
              (void)store->lock(kDisk);
              (void)store->limit(kDisk, 2 << 20);
              (void)store->held_bytes(kDisk);
              (void)store->next("");
              (void)store->remove(kDisk);
              return {};
            }),
            50U);
}

TEST_F(FailingCalls, LeaveNoControlGroup) {
  EXPECT_GE(give_back_whatever_fails([]() -> Finish {
              auto tree = launcher::CgroupTree::open(name(), launcher::limits_of_all());
              // What one that failed has made the next one sweeps.
              if (!tree.ok()) return [] { launcher::CgroupTree::sweep(launcher::Starter::root); };
              const auto kept = std::make_shared<std::optional<launcher::CgroupTree>>(*std::move(tree));
              return [kept] {
                (*kept)->close();
                kept->reset();
              };
            }),
            10U);
}

}  // namespace
}  // namespace lmsb
