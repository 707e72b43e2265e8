#include "launcher/cgroup_limits.h"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "launcher/limit_changer.h"
#include "os/files.h"

namespace lmsb::launcher {
namespace {

constexpr std::uint64_t kMiB = 1U << 20U;
constexpr BranchLimits kNow{512 * kMiB, 1000, 64};
constexpr const char* kMemoryNow = "536870912";

// Plain files in the place of the kernel's: they take any value, and one that is missing is refused.
class CgroupLimits : public testing::Test {
 protected:
  CgroupLimits() {
    std::string pattern = "/tmp/lmsb-limits-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
    for (UniqueFd* directory : {&branch_.memory, &branch_.cpu, &branch_.processes})
      directory->reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~CgroupLimits() override { std::filesystem::remove_all(path_); }

  void write(const std::string& name, const std::string& text) {
    const UniqueFd file(::open((path_ + "/" + name).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    EXPECT_TRUE(os::write_all(file.get(), text));
  }
  // What was written last, whatever longer text it stands on.
  std::string read(const std::string& name) const { return os::read_text(path_ + "/" + name).substr(0, 10); }
  void make_v1(std::uint64_t used) {
    branch_.is_v1 = true;
    write("memory.stat", "rss 1\ntotal_rss_huge 9\ntotal_rss " + std::to_string(used) + "\ntotal_shmem 0\n");
    for (const char* name : {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"}) write(name, kMemoryNow);
    write("cpu.cfs_quota_us", "100000");
    write("pids.max", "64");
  }
  void make_v2(std::uint64_t used) {
    branch_.is_v1 = false;
    write("memory.stat", "anon " + std::to_string(used) + "\nfile 7\nshmem 0\nkernel 0\n");
    write("memory.current", std::to_string(used));
    write("memory.max", kMemoryNow);
    write("memory.high", "max");
    write("cpu.max", "100000 100000");
    write("pids.max", "64");
  }
  Status change(BranchLimits to) const { return change_limits(branch_, to); }
  bool has(BranchLimits limits) const { return has_limits(branch_, limits); }

  std::string path_;
  BranchDirectories branch_;
};

TEST_F(CgroupLimits, AreWrittenWhereTheyDiffer) {
  make_v1(kMiB);
  ASSERT_TRUE(change({kNow.memory_bytes, 500, 64}).ok());
  EXPECT_EQ(read("cpu.cfs_quota_us").substr(0, 5), "50000");
  EXPECT_EQ(read("memory.limit_in_bytes"), kMemoryNow);
  EXPECT_EQ(read("pids.max"), "64");
}

TEST_F(CgroupLimits, OfMemoryAndSwapAreOne) {
  make_v1(kMiB);
  ASSERT_TRUE(change({100 * kMiB, 1000, 64}).ok());
  EXPECT_EQ(read("memory.limit_in_bytes").substr(0, 9), "104857600");
  EXPECT_EQ(read("memory.memsw.limit_in_bytes").substr(0, 9), "104857600");
}

TEST_F(CgroupLimits, GiveSocketsAnEighthOfMemoryWhereTheyAreCountedApart) {
  make_v1(kMiB);
  write("memory.kmem.tcp.limit_in_bytes", "9223372036854771712");
  ASSERT_TRUE(limit_memory_v1(branch_.memory.get(), 512 * kMiB).ok());
  const std::string most = std::to_string(bytes_for_sockets(512 * kMiB));
  EXPECT_EQ(read("memory.kmem.tcp.limit_in_bytes").substr(0, most.size()), most);
  ASSERT_TRUE(change({8 * kMiB, 1000, 64}).ok());
  EXPECT_EQ(read("memory.kmem.tcp.limit_in_bytes").substr(0, 7), "1048576");
}

TEST_F(CgroupLimits, GiveTheSocketsOfAGateAsMuchAsItHas) {
  make_v1(kMiB);
  write("memory.kmem.tcp.limit_in_bytes", "9223372036854771712");
  ASSERT_TRUE(limit_memory_v1(branch_.memory.get(), 8 * kMiB, CgroupUse::gate).ok());
  EXPECT_EQ(read("memory.kmem.tcp.limit_in_bytes").substr(0, 7), "8388608");
  EXPECT_EQ(bytes_for_sockets(512 * kMiB, "1000\t2048\t4000\n", 16384 * kMiB, CgroupUse::gate), 4 * kMiB)
      << "the machine's half";
}

TEST_F(CgroupLimits, GiveSocketsNoMoreThanHalfOfWhatTheMachineHasForThem) {
  constexpr std::uint64_t kMachine = 1024 * kMiB;
  EXPECT_EQ(bytes_for_sockets(512 * kMiB, "287898\t383867\t575796\n", kMachine), 64 * kMiB);
  EXPECT_EQ(bytes_for_sockets(512 * kMiB, "1000\t2048\t4000\n", kMachine), 4 * kMiB);
  EXPECT_EQ(bytes_for_sockets(8 * kMiB, "", kMachine), kMiB) << "it does not say";
  EXPECT_EQ(bytes_for_sockets(512 * kMiB, "", kMachine), 32 * kMiB);
  EXPECT_EQ(bytes_for_sockets(512 * kMiB, "1000\n", kMachine), 32 * kMiB);
}

TEST_F(CgroupLimits, OfSocketsAreNoneWhereTheKernelIsToldNotToCount) {
  EXPECT_TRUE(counts_kernel_memory("root=/dev/vda nosocket quiet\n"));
  EXPECT_TRUE(counts_kernel_memory("cgroup.memory=nobpf\n"));
  EXPECT_FALSE(counts_kernel_memory("quiet cgroup.memory=nosocket\n"));
  EXPECT_FALSE(counts_kernel_memory("cgroup.memory=nobpf cgroup.memory=nobpf,nokmem quiet\n"));
}

TEST_F(CgroupLimits, OfAChangeThatWasKilledMidwayAreMadeWholeByTheNext) {
  make_v1(kMiB);
  write("memory.memsw.limit_in_bytes", "999999488");
  ASSERT_TRUE(change(kNow).ok());
  EXPECT_EQ(read("memory.memsw.limit_in_bytes"), kMemoryNow) << "no swap on top";
  make_v2(kMiB);
  write("memory.high", "104857600");
  ASSERT_TRUE(change(kNow).ok());
  EXPECT_EQ(read("memory.high").substr(0, 3), "max") << "nothing is held back for ever";
}

TEST_F(CgroupLimits, AreMadeWholeAlsoByOneThatIsRefused) {
  make_v2(95 * kMiB);
  write("memory.high", "104857600");
  EXPECT_EQ(change({100 * kMiB, 1000, 64}).error().sys_errno(), EBUSY);
  EXPECT_EQ(read("memory.high").substr(0, 3), "max");
  make_v1(95 * kMiB);
  write("memory.memsw.limit_in_bytes", "999999488");
  EXPECT_EQ(change({100 * kMiB, 1000, 64}).error().sys_errno(), EBUSY);
  EXPECT_EQ(read("memory.memsw.limit_in_bytes"), kMemoryNow);
}

TEST_F(CgroupLimits, OfAChangeThatCannotBeMadeWholeAreNotInForce) {
  make_v2(kMiB);
  ASSERT_EQ(::unlink((path_ + "/memory.high").c_str()), 0);
  EXPECT_FALSE(change(kNow).ok());
}

TEST_F(CgroupLimits, AreInForceWhenAllAreAndNothingIsHalfDone) {
  for (const bool is_v1 : {true, false}) {
    is_v1 ? make_v1(kMiB) : make_v2(kMiB);
    EXPECT_TRUE(has(kNow));
    EXPECT_TRUE(has({kNow.memory_bytes + 1, kNow.cpu_millis, kNow.processes})) << "whole pages count";
    EXPECT_FALSE(has({kNow.memory_bytes / 2, kNow.cpu_millis, kNow.processes}));
    EXPECT_FALSE(has({kNow.memory_bytes, kNow.cpu_millis / 2, kNow.processes}));
    EXPECT_FALSE(has({kNow.memory_bytes, kNow.cpu_millis, kNow.processes / 2}));
    write(is_v1 ? "memory.memsw.limit_in_bytes" : "memory.high", "999999488");
    EXPECT_FALSE(has(kNow));
  }
}

TEST_F(CgroupLimits, TakeNoMemoryAwayThatIsUsed) {
  make_v1(95 * kMiB);
  EXPECT_EQ(change({100 * kMiB, 500, 8}).error().sys_errno(), EBUSY) << "there would be no room for anything else";
  EXPECT_EQ(read("memory.limit_in_bytes"), kMemoryNow);
  EXPECT_EQ(read("cpu.cfs_quota_us").substr(0, 6), "100000") << "as it was before";
  EXPECT_EQ(read("pids.max").substr(0, 2), "64");
  EXPECT_TRUE(change({600 * kMiB, 1000, 64}).ok()) << "more is always well";
}

// A pipe that nobody reads, in the place of the file that is written first: to open it waits, as the kernel would.
TEST_F(CgroupLimits, AreNotWaitedForWithoutEnd) {
  make_v2(kMiB);
  ASSERT_EQ(::unlink((path_ + "/memory.high").c_str()), 0);
  ASSERT_EQ(::mkfifo((path_ + "/memory.high").c_str(), 0600), 0);
  auto changer = start_limit_changer(branch_, {100 * kMiB, 500, 8}, std::chrono::milliseconds(100));
  ASSERT_TRUE(changer.ok());
  int writer = -1;  // what stands in it is read once, at first
  while (writer < 0 && ::waitpid(changer->pid, nullptr, WNOHANG) == 0)
    writer = ::open((path_ + "/memory.high").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(writer, 0);
  EXPECT_EQ(::write(writer, "max", 3), 3);
  ::close(writer);
  int status = 0;
  ASSERT_EQ(::waitpid(changer->pid, &status, 0), changer->pid);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), EBUSY);
  EXPECT_EQ(read("memory.max"), kMemoryNow);
  EXPECT_EQ(read("cpu.max").substr(0, 6), "100000") << "as it was before";
  EXPECT_EQ(read("pids.max").substr(0, 2), "64");
}

TEST_F(CgroupLimits, AreRefusedWhereTheKernelDoesNotSayWhatIsUsed) {
  make_v1(kMiB);
  write("memory.stat", "");
  EXPECT_EQ(change({100 * kMiB, 1000, 64}).error().sys_errno(), EIO);
}

TEST_F(CgroupLimits, HaveTheKernelGiveBackBeforeItWouldKill) {
  make_v2(kMiB);
  ASSERT_TRUE(change({100 * kMiB, 500, 64}).ok());
  EXPECT_EQ(read("memory.max").substr(0, 9), "104857600");
  EXPECT_EQ(read("memory.high").substr(0, 3), "max");
  EXPECT_EQ(read("cpu.max").substr(0, 10), "50000 1000");
  make_v2(95 * kMiB);
  EXPECT_EQ(change({100 * kMiB, 1000, 64}).error().sys_errno(), EBUSY);
  write("memory.stat", "anon 1048576\nkernel 99614720\nslab_reclaimable 94371840\nshmem 0\n");
  EXPECT_TRUE(change({100 * kMiB, 1000, 64}).ok()) << "what the kernel remembers of files is given back, too";
  make_v2(95 * kMiB);
  EXPECT_EQ(change({100 * kMiB, 1000, 64}).error().sys_errno(), EBUSY);
  EXPECT_EQ(read("memory.max"), kMemoryNow);
  make_v2(kMiB);
  write("memory.current", std::to_string(101 * kMiB));
  EXPECT_EQ(change({100 * kMiB, 1000, 64}).error().sys_errno(), EBUSY) << "it could give back, but did not come so far";
  EXPECT_EQ(read("memory.max"), kMemoryNow);
  EXPECT_EQ(read("memory.high").substr(0, 3), "max");
}

}  // namespace
}  // namespace lmsb::launcher
