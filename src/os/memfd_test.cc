#include "os/memfd.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

namespace lmsb::os {
namespace {

// Its page is held by a pipe, as the kernel holds one for a moment when it moves memory.
class HeldMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    file_.reset(::memfd_create("held", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    read_.reset(ends[0]);
    write_.reset(ends[1]);
    ASSERT_EQ(::write(file_.get(), "held", 4), 4);
    off_t begin = 0;
    ASSERT_EQ(::splice(file_.get(), &begin, write_.get(), nullptr, 4, 0), 4);
  }
  UniqueFd file_, read_, write_;
};

TEST_F(HeldMemory, IsNotSealedWhileItIsHeld) {
  const Status sealed = seal_memfd(file_.get(), {});
  ASSERT_FALSE(sealed.ok());
  EXPECT_EQ(sealed.error().sys_errno(), EBUSY);
}

TEST_F(HeldMemory, IsSealedAsSoonAsItIsLetGo) {
  ASSERT_FALSE(seal_memfd(file_.get(), {}).ok());
  std::thread letting_go([this] {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // longer than the kernel waits by itself
    read_.reset(), write_.reset();
  });
  EXPECT_TRUE(seal_memfd(file_.get(), std::chrono::seconds(60)).ok());
  letting_go.join();
  EXPECT_EQ(::write(file_.get(), "x", 1), -1);
}

}  // namespace
}  // namespace lmsb::os
