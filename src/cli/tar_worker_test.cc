#include "cli/tar_worker.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace lmsb::cli {
namespace {

namespace fs = std::filesystem;

class TarWorkerTest : public testing::Test {
 protected:
  TarWorkerTest() {
    std::string name = testing::TempDir() + "lmsb-tar-XXXXXX";
    root_ = ::mkdtemp(name.data());
    fs::create_directories(root_ / "from/d");
    fs::create_directories(root_ / "to");
    std::ofstream(root_ / "from/d/f") << "content";
    fs::create_symlink("nowhere", root_ / "from/l");
  }
  ~TarWorkerTest() override { fs::remove_all(root_); }

  static std::string read_all(int fd) {
    std::string all;
    std::array<char, 1000> piece{};
    for (ssize_t n = 0; (n = ::read(fd, piece.data(), piece.size())) > 0;)
      all.append(piece.data(), static_cast<std::size_t>(n));
    return all;
  }
  std::string packed() {
    auto worker = TarWorker::pack(root_ / "from");
    EXPECT_TRUE(worker.ok());
    std::string archive = read_all(worker->fd());
    EXPECT_TRUE(worker->finish().ok());
    left_out_ = worker->left_out();
    return archive;
  }

  static mode_t mask() {
    const mode_t mask = ::umask(0);
    ::umask(mask);
    return mask;
  }

  fs::path root_;
  std::vector<std::string> left_out_;
};

TEST_F(TarWorkerTest, TakesADirectoryThereAndBack) {
  const std::string archive = packed();
  auto worker = TarWorker::unpack(root_ / "to", true);
  ASSERT_TRUE(worker.ok());
  ASSERT_EQ(::write(worker->fd(), archive.data(), archive.size()), static_cast<ssize_t>(archive.size()));
  ASSERT_TRUE(worker->finish().ok());
  EXPECT_EQ(fs::file_size(root_ / "to/d/f"), 7U);
  EXPECT_EQ(fs::read_symlink(root_ / "to/l"), "nowhere");
}

TEST_F(TarWorkerTest, PassesAnArchiveOnBelowADirectoryOfAnotherName) {
  const std::string archive = packed();
  const fs::path passed = root_ / "passed.tar";
  {
    const UniqueFd out(::open(passed.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const std::string name(200, 'n');
    auto worker = TarWorker::pass_on(out.get(), name, 0750);
    ASSERT_TRUE(worker.ok());
    ASSERT_EQ(::write(worker->fd(), archive.data(), archive.size()), static_cast<ssize_t>(archive.size()));
    ASSERT_TRUE(worker->finish().ok());
  }
  const UniqueFd in(::open(passed.c_str(), O_RDONLY | O_CLOEXEC));
  const std::string renamed = read_all(in.get());
  auto worker = TarWorker::unpack(root_ / "to", true);
  ASSERT_EQ(::write(worker->fd(), renamed.data(), renamed.size()), static_cast<ssize_t>(renamed.size()));
  ASSERT_TRUE(worker->finish().ok());
  const fs::path top = root_ / "to" / std::string(200, 'n');
  EXPECT_EQ(fs::file_size(top / "d/f"), 7U);
  EXPECT_EQ(fs::read_symlink(top / "l"), "nowhere") << "where a symbolic link leads stays";
  EXPECT_EQ(fs::status(top).permissions(), static_cast<fs::perms>(0750 & ~mask()));
  EXPECT_EQ(worker->members(), 4U);
  EXPECT_EQ(worker->bytes(), 7U);
}

TEST_F(TarWorkerTest, SaysThatAnArchiveIsCutOffThatItPassesOn) {
  const std::string archive = packed();
  const UniqueFd out(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  auto worker = TarWorker::pass_on(out.get(), "name", 0755);
  ASSERT_GT(::write(worker->fd(), archive.data(), 600), 0);
  EXPECT_EQ(worker->finish().error().sys_errno(), EPIPE);
}

TEST_F(TarWorkerTest, SaysWhatItLeavesOut) {
  ASSERT_EQ(::mkfifo((root_ / "from/fifo").c_str(), 0600), 0);
  (void)packed();
  EXPECT_EQ(left_out_, std::vector<std::string>{"fifo"});
}

TEST_F(TarWorkerTest, AnArchiveThatIsCutOffIsAnError) {
  const std::string archive = packed();
  auto worker = TarWorker::unpack(root_ / "to", true);
  ASSERT_TRUE(worker.ok());
  ASSERT_EQ(::write(worker->fd(), archive.data(), 700), 700);
  EXPECT_EQ(worker->finish().error().sys_errno(), EPIPE);
}

TEST_F(TarWorkerTest, DoesNotWriteThroughALinkThatMayBeSomebodyElses) {
  fs::create_directory_symlink(root_ / "to", root_ / "link");
  EXPECT_FALSE(TarWorker::unpack(root_ / "link", false).ok());
  EXPECT_TRUE(TarWorker::unpack(root_ / "link", true).ok());
}

TEST_F(TarWorkerTest, KeepsToTheUmaskAndLeavesDirectoriesThatWereThereAsTheyAre) {
  fs::permissions(root_ / "from/d", fs::perms::all);
  fs::permissions(root_ / "from/d/f", static_cast<fs::perms>(0666));
  const std::string archive = packed();
  fs::create_directories(root_ / "to/d");
  fs::permissions(root_ / "to/d", static_cast<fs::perms>(0710));
  const mode_t before = ::umask(027);
  auto worker = TarWorker::unpack(root_ / "to", true);
  ASSERT_TRUE(worker.ok());
  ASSERT_EQ(::write(worker->fd(), archive.data(), archive.size()), static_cast<ssize_t>(archive.size()));
  ASSERT_TRUE(worker->finish().ok());
  ::umask(before);
  EXPECT_EQ(fs::status(root_ / "to/d").permissions(), static_cast<fs::perms>(0710));
  EXPECT_EQ(fs::status(root_ / "to/d/f").permissions(), static_cast<fs::perms>(0640));
}

TEST_F(TarWorkerTest, NobodyNeedsToTakeTheArchive) {
  std::ofstream(root_ / "from/large") << std::string(4 << 20U, 'x');
  auto worker = TarWorker::pack(root_ / "from");
  ASSERT_TRUE(worker.ok());
  ::signal(SIGPIPE, SIG_IGN);  // as the program does
  EXPECT_EQ(worker->finish().error().sys_errno(), EPIPE);
}

TEST_F(TarWorkerTest, NamesADirectoryThatIsNotThere) {
  EXPECT_NE(TarWorker::pack(root_ / "none").error().message().find("none"), std::string::npos);
}

}  // namespace
}  // namespace lmsb::cli
