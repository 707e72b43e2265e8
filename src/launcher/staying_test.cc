#include "launcher/staying.h"

#include <fcntl.h>
#include <filesystem>
#include <sys/xattr.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/unique_fd.h"
#include "os/files.h"

namespace lmsb::launcher {
namespace {

// As a cgroup looks to who reads one.
class StayingTest : public testing::Test {
 protected:
  StayingTest() {
    std::string name = testing::TempDir() + "/lmsb-staying-XXXXXX";
    path_ = ::mkdtemp(name.data());
    cgroup_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  ~StayingTest() override { std::filesystem::remove_all(path_); }

  std::string path_;
  UniqueFd cgroup_;
};

TEST_F(StayingTest, IsReadAsItWasWritten) {
  if (const Status written = write_staying(cgroup_.get(), {17, true, 1000, 5, 4096}); !written.ok())
    GTEST_SKIP() << "root is needed: " << written.error().message();
  const auto read = read_staying(cgroup_.get());
  ASSERT_TRUE(read.ok() && read->has_value());
  EXPECT_EQ((*read)->pid, 17);
  EXPECT_TRUE((*read)->is_ours);
  EXPECT_EQ((*read)->id_base, 1000U);
  EXPECT_EQ((*read)->processes, 5U);
  EXPECT_EQ((*read)->disk_bytes, 4096U);
}

TEST_F(StayingTest, IsNothingWhereNothingWasWritten) {
  const auto read = read_staying(cgroup_.get());
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_FALSE(read->has_value());
}

TEST_F(StayingTest, ThatCannotBeReadIsNotTakenForNothing) { EXPECT_FALSE(read_staying(-1).ok()); }

TEST_F(StayingTest, HasAGuestAsLongAsThatIsInItsCgroup) {
  const auto without = is_guest_of(cgroup_.get(), 17);
  ASSERT_TRUE(without.ok()) << without.error().message();
  EXPECT_FALSE(*without);
  UniqueFd(::open((path_ + "/cgroup.procs").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)).reset();
  ASSERT_TRUE(os::write_text(path_ + "/cgroup.procs", "16\n17\n").ok());
  EXPECT_TRUE(*is_guest_of(cgroup_.get(), 17));
  EXPECT_FALSE(*is_guest_of(cgroup_.get(), 1));
}

TEST_F(StayingTest, AGuestThatCannotBeLookedForIsNotTakenForGone) { EXPECT_FALSE(is_guest_of(-1, 17).ok()); }

}  // namespace
}  // namespace lmsb::launcher
