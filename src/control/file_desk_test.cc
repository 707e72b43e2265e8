#include "control/file_desk.h"

#include <array>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <stdlib.h>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/message_socket.h"

namespace lmsb::control {
namespace {

class FileDeskTest : public testing::Test {
 protected:
  FileDeskTest() {
    std::string name = testing::TempDir() + "lmsb-desk-XXXXXX";
    directory_ = ::mkdtemp(name.data());
    auto desk = FileDesk::open(loop_, path(), 0600, static_cast<gid_t>(-1));
    EXPECT_TRUE(desk.ok());
    desk_ = *std::move(desk);
  }
  ~FileDeskTest() override {
    desk_.reset();
    run();
    std::filesystem::remove_all(directory_);
  }

  std::string path() const { return directory_ + "/files.sock"; }
  void run() {
    loop_.restart();
    while (loop_.poll() > 0) {
    }
  }
  UniqueFd call() {
    UniqueFd caller(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path().c_str(), path().size() + 1);
    EXPECT_EQ(::connect(caller.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    run();
    return caller;
  }
  // What the desk answers to a message; an errno of -1 is no answer.
  sandbox::MountReply say(const UniqueFd& caller, const void* message, std::size_t size, const std::vector<int>& fds) {
    const iovec part{const_cast<void*>(message), size};                  // NOLINT: C interface
    (void)send_message(caller.get(), &part, 1, fds.data(), fds.size());  // a desk that has closed answers nothing
    run();
    sandbox::MountReply reply;
    ReceivedFds none;
    if (receive_message(caller.get(), &reply, sizeof reply, none) != static_cast<ssize_t>(sizeof reply))
      reply.error = -1;
    return reply;
  }
  sandbox::MountReply offer(const std::vector<int>& fds) {
    const sandbox::MountOffer offer;
    return say(call(), &offer, sizeof offer, fds);
  }
  int error_of(int fd) { return offer({fd}).error; }

  boost::asio::io_context loop_{1};
  std::string directory_;
  std::unique_ptr<FileDesk> desk_;
};

UniqueFd memory_file() { return UniqueFd(::memfd_create("model", MFD_CLOEXEC)); }

TEST_F(FileDeskTest, GivesATokenThatIsGoodOnceForTheFileThatWasHandedOver) {
  const UniqueFd file = memory_file();
  ASSERT_EQ(::write(file.get(), "GGUF", 4), 4);
  const auto reply = offer({file.get()});
  ASSERT_EQ(reply.error, 0);
  const auto taken = desk_->take(reply.token);
  ASSERT_TRUE(taken);
  std::array<char, 4> content{};
  EXPECT_EQ(::pread(taken->get(), content.data(), 4, 0), 4);
  EXPECT_FALSE(desk_->take(reply.token));
  EXPECT_FALSE(desk_->take(sandbox::MountToken()));
}

TEST_F(FileDeskTest, IsOpenToThoseWhomTheModeOfItsSocketNames) {
  struct stat info {};
  ASSERT_EQ(::stat(path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
}

TEST_F(FileDeskTest, TakesNothingButARegularFileOpenForReading) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const UniqueFd read(pipe[0]);
  const UniqueFd write(pipe[1]);
  const UniqueFd directory(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const UniqueFd device(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const UniqueFd place(::open("/proc/self/exe", O_PATH | O_CLOEXEC));
  const UniqueFd for_writing(::open((directory_ + "/f").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  for (const UniqueFd* fd : {&read, &directory, &device, &place, &for_writing}) EXPECT_NE(error_of(fd->get()), 0);
  EXPECT_NE(offer({}).error, 0);
  const UniqueFd file = memory_file();
  EXPECT_NE(offer({file.get(), file.get()}).error, 0);
}

TEST_F(FileDeskTest, RefusesMessagesOfAnotherForm) {
  const UniqueFd file = memory_file();
  const std::string garbage(4000, 'x');
  for (const std::size_t size : {1UL, 8UL, 4000UL}) EXPECT_NE(say(call(), garbage.data(), size, {file.get()}).error, 0);
}

TEST_F(FileDeskTest, HoldsSixteenFilesAtMost) {
  const UniqueFd file = memory_file();
  for (int i = 0; i < 16; ++i) ASSERT_EQ(error_of(file.get()), 0);
  EXPECT_EQ(error_of(file.get()), EAGAIN);
}

TEST_F(FileDeskTest, TurnsCallersAwayWhileSixteenSayNothing) {
  std::vector<UniqueFd> silent;
  for (int i = 0; i < 16; ++i) silent.push_back(call());
  const UniqueFd file = memory_file();
  EXPECT_NE(error_of(file.get()), 0);
  silent.clear();
  run();
  EXPECT_EQ(error_of(file.get()), 0);
}

TEST(FileDesk, CannotBeWhereItsNameIsTooLong) {
  boost::asio::io_context loop(1);
  EXPECT_EQ(FileDesk::open(loop, "/" + std::string(200, 'x'), 0600, 0).error().code(), ErrorCode::invalid_argument);
  EXPECT_FALSE(FileDesk::open(loop, "/no/such/directory/s", 0600, 0).ok());
}

}  // namespace
}  // namespace lmsb::control
