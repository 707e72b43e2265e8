#include "base/unique_fd.h"

#include <fcntl.h>
#include <utility>

#include <gtest/gtest.h>

namespace lmsb {
namespace {

UniqueFd open_null() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }

TEST(UniqueFd, ClosesWhatItOwns) {
  int number = -1;
  {
    const UniqueFd fd = open_null();
    number = fd.get();
    EXPECT_TRUE(is_open(number));
  }
  EXPECT_FALSE(is_open(number));
}

TEST(UniqueFd, HandsItOnWhenMoved) {
  UniqueFd first = open_null();
  const int number = first.get();
  UniqueFd second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move): that it is empty is what is tested
  EXPECT_EQ(second.get(), number);
  second = open_null();
  EXPECT_TRUE(second);
}

TEST(UniqueFd, LetsGoOfWhatIsReleased) {
  UniqueFd fd = open_null();
  const UniqueFd taken(fd.release());
  EXPECT_FALSE(fd);
  EXPECT_TRUE(is_open(taken.get()));
}

}  // namespace
}  // namespace lmsb
