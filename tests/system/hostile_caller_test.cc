// Plays local users who hand things over at the launcher's mount desk that are made to hang whoever holds them.
#include <arpa/inet.h>
#include <csignal>
#include <filesystem>
#include <functional>
#include <grp.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launcher/mount_desk.h"
#include "os/end_with_parent.h"
#include "os/message_socket.h"

namespace lmsb {
namespace {

constexpr int kPatienceMs = 20'000;  // for what comes in its own time; it fails only when it never comes
constexpr std::uint32_t kStranger = 54321;

// A desk in a process of its own, as the launcher has it, and callers in others.
class HostileCaller : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "root is needed: receivers become their callers";
    std::string pattern = "/tmp/lmsb-caller-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    ASSERT_EQ(::chmod(directory_.c_str(), 0755), 0);
    auto desk = launcher::MountDesk::open(directory_ + "/mounts.sock", ~0U);
    ASSERT_TRUE(desk.ok());
    desk_ = in_child([&] {
      for (pollfd wait{(*desk)->fd(), POLLIN, 0}; ::poll(&wait, 1, -1) >= 0 || errno == EINTR;) (*desk)->serve();
    });
  }

  void TearDown() override {
    for (const pid_t child : children_) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  pid_t in_child(const std::function<void()>& body) {
    const pid_t test = ::getpid();
    const pid_t child = ::fork();
    if (child == 0) {
      if (!os::end_with_parent(test, SIGKILL)) ::_exit(1);
      body();
      ::_exit(0);
    }
    children_.push_back(child);
    return child;
  }

  // Waits for a child that in_child() started.
  void expect_success(pid_t child) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    std::erase(children_, child);
  }

  UniqueFd connect() const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (directory_ + "/mounts.sock").c_str());
    UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) socket.reset();
    return socket;
  }

  static bool send_offer(const UniqueFd& socket, int fd) {
    sandbox::MountOffer offer;
    const iovec part{&offer, sizeof offer};
    return send_message(socket.get(), &part, 1, &fd, 1);
  }

  // The desk's answer: 0 = taken; -1 = none ever came.
  static int answer_of(const UniqueFd& socket) {
    pollfd wait{socket.get(), POLLIN, 0};
    sandbox::MountReply reply;
    ReceivedFds none;
    if (::poll(&wait, 1, kPatienceMs) <= 0) return -1;
    return receive_message(socket.get(), &reply, sizeof reply, none) == sizeof reply ? reply.error : -1;
  }

  int offer(int fd) const {
    const UniqueFd socket = connect();
    return send_offer(socket, fd) ? answer_of(socket) : -1;
  }

  int offer_directory() const { return offer(UniqueFd(::open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC)).get()); }

  // Runs `send` while the desk stands still, so that the desk is the last one to hold what was passed. `send` makes the
  // connection, too: one that the desk took before has a receiver, which does not stand still, and where that is done
  // first, this process is the last to close.
  void while_the_desk_stands(const std::function<void()>& send) {
    ::kill(desk_, SIGSTOP);
    int status = 0;
    ASSERT_EQ(::waitpid(desk_, &status, WUNTRACED), desk_);
    send();
    ::kill(desk_, SIGCONT);
  }

  std::string directory_;
  pid_t desk_ = -1;
  std::vector<pid_t> children_;
};

// A TCP connection whose last close waits an hour: its peer never reads what is on the way.
UniqueFd lingering_socket(UniqueFd& peer) {
  const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener.get(), generic, length) < 0 || ::listen(listener.get(), 1) < 0 ||
      ::getsockname(listener.get(), generic, &length) < 0)
    return UniqueFd();
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(socket.get(), generic, length) < 0) return UniqueFd();
  peer.reset(::accept(listener.get(), nullptr, nullptr));
  const std::vector<char> bytes(1 << 20);
  while (::send(socket.get(), bytes.data(), bytes.size(), MSG_DONTWAIT) > 0) continue;
  const linger hour{1, 3600};
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &hour, sizeof hour) < 0) return UniqueFd();
  return socket;
}

TEST_F(HostileCaller, DelaysNobodyWithALingeringSocket) {
  UniqueFd peer;
  UniqueFd poison = lingering_socket(peer);
  ASSERT_TRUE(poison);
  UniqueFd hostile;
  while_the_desk_stands([&] {
    hostile = connect();
    ASSERT_TRUE(send_offer(hostile, poison.get()));
    poison.reset();
  });
  EXPECT_EQ(offer_directory(), 0);
}

TEST_F(HostileCaller, DelaysNobodyWithALingeringSocketThatNobodyTakes) {
  UniqueFd peer;
  UniqueFd poison = lingering_socket(peer);
  ASSERT_TRUE(poison);
  while_the_desk_stands([&] {
    const UniqueFd hostile = connect();
    const int two[] = {poison.get(), poison.get()};  // NOLINT(modernize-avoid-c-arrays)
    char byte = 0;
    const iovec part{&byte, 1};
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(send_message(hostile.get(), &part, 1, two, 2));
    poison.reset();
  });
  EXPECT_EQ(offer_directory(), 0);
}

TEST_F(HostileCaller, DelaysNobodyWithADirectoryWhoseServerNeverAnswers) {
  const UniqueFd server(::open("/dev/fuse", O_RDWR | O_CLOEXEC));
  if (!server) GTEST_SKIP() << "no /dev/fuse here";
  const std::string at = directory_ + "/fuse";
  std::filesystem::create_directory(at);
  const std::string options = "fd=" + std::to_string(server.get()) + ",rootmode=40000,user_id=0,group_id=0,allow_other";
  if (::mount("none", at.c_str(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) < 0) GTEST_SKIP() << "no FUSE here";
  {
    const UniqueFd poison(::open(at.c_str(), O_PATH | O_CLOEXEC));
    EXPECT_TRUE(poison);
    const UniqueFd hostile = connect();
    EXPECT_TRUE(send_offer(hostile, poison.get()));
    EXPECT_EQ(offer_directory(), 0);
    EXPECT_NE(answer_of(hostile), 0);
  }
  EXPECT_EQ(::umount2(at.c_str(), MNT_DETACH), 0);
}

TEST_F(HostileCaller, IsHeardWithNothingButTheNameOfADirectory) {
  EXPECT_EQ(offer(UniqueFd(::open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC)).get()), EBADF);
  EXPECT_EQ(offer(UniqueFd(::open("/etc/passwd", O_PATH | O_CLOEXEC)).get()), ENOTDIR);
  EXPECT_EQ(offer(UniqueFd(::open("/proc", O_PATH | O_CLOEXEC)).get()), EOPNOTSUPP);
  EXPECT_EQ(offer_directory(), 0);
}

TEST_F(HostileCaller, WhoSaysNothingIsLetGo) {
  const UniqueFd silent = connect();
  pollfd wait{silent.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, kPatienceMs), 1);
}

TEST_F(HostileCaller, LeavesRoomForOthers) {
  const pid_t stranger = in_child([&] {
    // A stopped process in a group that is an orphan, as ours may be, has the kernel send SIGHUP to all of the group
    // when another of it ends.
    (void)::setpgid(0, 0);
    if (::setgroups(0, nullptr) < 0 || ::setresgid(kStranger, kStranger, kStranger) < 0 ||
        ::setresuid(kStranger, kStranger, kStranger) < 0)
      ::_exit(1);
    for (int i = 0; i < 8; ++i)
      if (offer_directory() != 0) ::_exit(2);
    if (offer_directory() != EAGAIN) ::_exit(3);
    std::vector<UniqueFd> silent;
    for (int i = 0; i < 100; ++i) silent.push_back(connect());  // each a receiver for 2 s, were it not for the bound
    ::raise(SIGSTOP);
  });
  int status = 0;
  ASSERT_EQ(::waitpid(stranger, &status, WUNTRACED), stranger);
  ASSERT_TRUE(WIFSTOPPED(status)) << "the stranger says " << WEXITSTATUS(status);
  EXPECT_EQ(offer_directory(), 0);
}

}  // namespace
}  // namespace lmsb
