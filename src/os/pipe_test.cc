#include "os/pipe.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "base/unique_fd.h"

namespace lmsb::os {
namespace {

// A pipe that waits, as a hostile maker would leave it.
struct BlockingPipe {
  BlockingPipe() {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
  UniqueFd read;
  UniqueFd write;
};

using Reader = ssize_t (*)(int, void*, std::size_t);
class ReadPipe : public testing::TestWithParam<Reader> {};

TEST_P(ReadPipe, DoesNotWaitOnAPipeThatWould) {
  const BlockingPipe pipe;
  std::array<char, 16> buffer{};
  errno = 0;
  EXPECT_EQ(GetParam()(pipe.read.get(), buffer.data(), buffer.size()), -1);
  EXPECT_EQ(errno, EAGAIN);
}

TEST_P(ReadPipe, GivesWhatIsThereInOrderAndThenTheEnd) {
  BlockingPipe pipe;
  ASSERT_EQ(::write(pipe.write.get(), "abcdef", 6), 6);
  pipe.write.reset();
  std::array<char, 4> buffer{};
  ASSERT_EQ(GetParam()(pipe.read.get(), buffer.data(), buffer.size()), 4);
  EXPECT_EQ(std::string(buffer.data(), 4), "abcd");
  ASSERT_EQ(GetParam()(pipe.read.get(), buffer.data(), buffer.size()), 2);
  EXPECT_EQ(std::string(buffer.data(), 2), "ef");
  EXPECT_EQ(GetParam()(pipe.read.get(), buffer.data(), buffer.size()), 0);
}

INSTANTIATE_TEST_SUITE_P(BothWays, ReadPipe, testing::Values(&read_pipe_now, &read_pipe_by_splice));

TEST(IsReadablePipe, KnowsAPipesReadingEndFromAllElse) {
  const BlockingPipe pipe;
  EXPECT_TRUE(is_readable_pipe(pipe.read.get()));
  EXPECT_FALSE(is_readable_pipe(pipe.write.get()));
  const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const UniqueFd directory(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const int fd : {socket.get(), directory.get(), -1}) EXPECT_FALSE(is_readable_pipe(fd));
}

}  // namespace
}  // namespace lmsb::os
