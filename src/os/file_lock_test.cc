#include "os/file_lock.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/unique_fd.h"

namespace lmsb::os {
namespace {

class FileLock : public ::testing::Test {
 protected:
  FileLock() { UniqueFd(::mkstemp(path_.data())); }
  ~FileLock() override { (void)::unlink(path_.c_str()); }
  UniqueFd open() const { return UniqueFd(::open(path_.c_str(), O_RDWR | O_CLOEXEC)); }

  std::string path_ = ::testing::TempDir() + "lmsb-lock-XXXXXX";
};

TEST_F(FileLock, IsTakenOnceAndRefusedWhileSomebodyKeepsIt) {
  const UniqueFd first = open(), second = open();
  EXPECT_TRUE(*lock_file(first.get(), {}));
  EXPECT_FALSE(*lock_file(second.get(), std::chrono::milliseconds(1)));
  EXPECT_EQ(lock_file(-1, std::chrono::seconds(60)).error().sys_errno(), EBADF) << "which no waiting mends";
}

TEST_F(FileLock, IsWaitedForUntilTheLastCopyOfWhoHadItIsClosed) {
  UniqueFd first = open();
  const UniqueFd second = open();
  ASSERT_TRUE(*lock_file(first.get(), {}));
  UniqueFd copy(::dup(first.get()));
  first.reset();
  EXPECT_FALSE(*lock_file(second.get(), {}));
  std::thread closing([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    copy.reset();
  });
  EXPECT_TRUE(*lock_file(second.get(), std::chrono::seconds(60)));
  closing.join();
}

TEST_F(FileLock, KeepsNobodyOutOfANameThatAnotherFileHas) {
  const UniqueFd first = open();
  EXPECT_TRUE(is_still_named(first.get(), AT_FDCWD, path_.c_str()));
  ASSERT_EQ(::unlink(path_.c_str()), 0);
  EXPECT_FALSE(is_still_named(first.get(), AT_FDCWD, path_.c_str()));
  const UniqueFd other(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  EXPECT_FALSE(is_still_named(first.get(), AT_FDCWD, path_.c_str()));
  EXPECT_TRUE(is_still_named(other.get(), AT_FDCWD, path_.c_str()));
}

}  // namespace
}  // namespace lmsb::os
