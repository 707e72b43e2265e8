// Plays a daemon that has been taken over and holds the launcher's socket: whatever it sends, it gains nothing beyond
// sandboxes that look like every other.
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <random>
#include <sstream>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest_protocol/messages.h"
#include "launcher/launcher.h"
#include "launcher/power.h"
#include "os/files.h"
#include "os/memfd.h"
#include "os/message_socket.h"
#include "sandbox/launcher_client.h"

namespace lmsb {
namespace {

using sandbox::LauncherAnswer;
using sandbox::LauncherOperation;
using sandbox::LauncherStep;
using sandbox::LaunchRequest;

// A launcher in a process of its own, with this test at the daemon's end of its socket.
class HostileDaemon : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "root is needed to run a launcher";
    std::string pattern = "/tmp/lmsb-hostile-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    std::filesystem::create_directories(directory_ + "/images");
    std::filesystem::create_directories(directory_ + "/scratch");
    UniqueFd launcher_end;
    ASSERT_TRUE(message_socket_pair(launcher_end, socket_));
    child_ = ::fork();
    if (child_ == 0) run_launcher(std::move(launcher_end));
  }

  void TearDown() override {
    if (child_ <= 0) return;
    socket_.reset();
    int status = 0;
    ASSERT_EQ(::waitpid(child_, &status, 0), child_);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the launcher died of what it was sent: " << status;
    std::filesystem::remove_all(directory_);
  }

  [[noreturn]] void run_launcher(UniqueFd socket) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    socket_.reset();
    launcher::Policy policy;
    policy.image_root = directory_ + "/images";
    policy.scratch = directory_ + "/scratch";
    policy.cgroup_name = "hostile-" + std::to_string(::getpid());
    policy.caps = {Bytes::GiB(2).count(), 500, 64, Bytes::MiB(64).count()};
    policy.mounts_socket = directory_ + "/mounts.sock";
    auto guest = os::make_sealed_copy("guest", LMSB_GUEST);
    if (!guest.ok()) ::_exit(11);
    auto launcher = launcher::Launcher::create(policy, *std::move(guest), std::move(socket));
    if (!launcher.ok()) ::_exit(12);
    (*launcher)->run(-1);
    launcher->reset();
    ::_exit(0);
  }

  void send_raw(const void* data, std::size_t size, const std::vector<int>& fds = {}) {
    const iovec part{const_cast<void*>(data), size};
    ASSERT_TRUE(send_message(socket_.get(), &part, 1, fds.data(), fds.size()));
  }

  // The next answer with its descriptors.
  LauncherAnswer receive(ReceivedFds& fds) {
    LauncherAnswer answer{};
    EXPECT_EQ(receive_message(socket_.get(), &answer, sizeof answer, fds), static_cast<ssize_t>(sizeof answer));
    return answer;
  }

  LauncherAnswer ask(const sandbox::LaunchPlan& plan) {
    const LaunchRequest request{{LauncherOperation::launch, 1}, plan};
    send_raw(&request, sizeof request);
    ReceivedFds fds;
    return receive(fds);
  }

  // A limit of the cgroup that `pid` is in, from the v1 hierarchy of `controller` or from v2; without the line break.
  static std::string limit_of(const std::string& pid, const std::string& controller, const char* v1, const char* v2) {
    std::istringstream lines(os::read_text("/proc/" + pid + "/cgroup"));
    std::string unified;
    std::string text;
    for (std::string line; std::getline(lines, line);) {
      const std::string path = line.substr(line.find(':', line.find(':') + 1) + 1);
      if (line.rfind("0::", 0) == 0) unified = path;
      if (line.find(":" + controller + ":") != std::string::npos)
        text = os::read_text("/sys/fs/cgroup/" + controller + path + "/" + v1);
    }
    if (text.empty()) text = os::read_text("/sys/fs/cgroup" + unified + "/" + v2);
    return text.substr(0, text.find('\n'));
  }

  static sandbox::LaunchPlan good_plan() { return *sandbox::plan(sandbox::SandboxSpec{}); }

  std::string directory_;
  UniqueFd socket_;
  pid_t child_ = -1;
};

TEST_F(HostileDaemon, IsRefusedEveryPlanOutOfBounds) {
  const auto refused = [&](const auto& change) {
    sandbox::LaunchPlan plan = good_plan();
    change(plan);
    return ask(plan).failed_step == LauncherStep::validate;
  };
  EXPECT_TRUE(refused([](auto& p) { p.version = 0; }));
  EXPECT_TRUE(refused([](auto& p) { p.profile = static_cast<guest_protocol::Profile>(1); }));
  EXPECT_TRUE(refused([](auto& p) { p.memory_bytes = ~0ULL; }));
  EXPECT_TRUE(refused([](auto& p) { p.id.fill('/'); }));
  EXPECT_TRUE(refused([](auto& p) { std::strcpy(p.id.data(), "../../../cgroup/esca"); }));
  EXPECT_TRUE(refused([](auto& p) {
    p.root = guest_protocol::RootKind::mounted;
    std::strcpy(p.image.data(), "..");
  }));
  EXPECT_TRUE(refused([](auto& p) {
    p.mount_count = 1;
    std::strcpy(p.mounts[0].target.data(), "proc/self");
  }));
  EXPECT_EQ(ask(good_plan()).failed_step, LauncherStep::none) << "and still gets a good one";
}

TEST_F(HostileDaemon, GetsNoMoreThanThePolicyAllows) {
  sandbox::LaunchPlan plan = good_plan();
  plan.memory_bytes = Bytes::GiB(3).count();
  plan.cpu_millis = 2000;
  plan.processes = 4096;
  plan.disk_bytes = Bytes::GiB(20).count();
  plan.root_bytes = Bytes::MiB(1500).count();
  const LaunchRequest request{{LauncherOperation::launch, 1}, plan};
  send_raw(&request, sizeof request);
  ReceivedFds fds;
  ASSERT_EQ(receive(fds).failed_step, LauncherStep::none);
  guest_protocol::Ready ready{};
  ReceivedFds none;
  ASSERT_EQ(receive_message(fds.fds[0].get(), &ready, sizeof ready, none), static_cast<ssize_t>(sizeof ready));
  const std::string guest = std::to_string(
      std::stoi(os::read_text("/proc/" + std::to_string(child_) + "/task/" + std::to_string(child_) + "/children")));
  EXPECT_EQ(limit_of(guest, "memory", "memory.limit_in_bytes", "memory.max"), std::to_string(Bytes::GiB(2).count()));
  EXPECT_EQ(limit_of(guest, "cpu", "cpu.cfs_quota_us", "cpu.max").substr(0, 5), "50000");
  EXPECT_EQ(limit_of(guest, "pids", "pids.max", "pids.max"), "64");
  const std::string limits = os::read_text("/proc/" + guest + "/limits");
  EXPECT_THAT(limits, testing::HasSubstr("Max file size             " + std::to_string(Bytes::MiB(64).count()) + " "));
  const std::string mounts = os::read_text("/proc/" + guest + "/mountinfo");
  EXPECT_THAT(mounts, testing::HasSubstr("size=65536k")) << "the writable layer";
}

TEST_F(HostileDaemon, CannotLaunchTwoSandboxesOfOneId) {
  const sandbox::LaunchPlan plan = good_plan();
  EXPECT_EQ(ask(plan).failed_step, LauncherStep::none);
  EXPECT_EQ(ask(plan).failed_step, LauncherStep::validate);
}

TEST_F(HostileDaemon, CannotMountADirectoryThatNobodyHandedOver) {
  sandbox::LaunchPlan plan = good_plan();
  plan.mount_count = 1;
  std::strcpy(plan.mounts[0].target.data(), "data");
  EXPECT_EQ(ask(plan).failed_step, LauncherStep::mounts);
}

TEST_F(HostileDaemon, CannotLaunchAnImageThatIsNotStored) {
  sandbox::LaunchPlan plan = good_plan();
  plan.root = guest_protocol::RootKind::mounted;
  std::strcpy(plan.image.data(), "nothing");
  EXPECT_EQ(ask(plan).failed_step, LauncherStep::mounts);
}

TEST_F(HostileDaemon, ConfusesNobodyWithGarbage) {
  std::mt19937 random(42);  // seeded: a failure comes again
  std::vector<char> bytes(sizeof(LaunchRequest) + 64);
  for (int round = 0; round < 300; ++round) {
    for (char& byte : bytes) byte = static_cast<char>(random());
    const std::size_t size = 1 + random() % bytes.size();
    if (round % 3 == 0 && size >= sizeof(sandbox::LauncherHeader)) {
      const sandbox::LauncherHeader header{LauncherOperation::launch, 7};
      std::memcpy(bytes.data(), &header, sizeof header);
    }
    send_raw(bytes.data(), size);
    pollfd wait{socket_.get(), POLLIN, 0};
    while (::poll(&wait, 1, 0) > 0) {
      ReceivedFds fds;
      EXPECT_NE(receive(fds).failed_step, LauncherStep::none);
    }
  }
  sandbox::DestroyRequest request{{LauncherOperation::destroy, 9}, 123456789};
  send_raw(&request, sizeof request);
  for (ReceivedFds fds; receive(fds).request != 9;) fds = ReceivedFds{};
}

TEST_F(HostileDaemon, HasDescriptorsThatItPushesInClosed) {
  const std::vector<int> fds = {0, 0, 0, 0};
  const std::string tasks = "/proc/" + std::to_string(child_) + "/fd";
  const LaunchRequest request{{LauncherOperation::launch, 1}, [] {
                                auto p = good_plan();
                                p.version = 9;
                                return p;
                              }()};
  const auto open_descriptors = [&] { return std::distance(std::filesystem::directory_iterator(tasks), {}); };
  ReceivedFds ignored;
  send_raw(&request, sizeof request);
  receive(ignored);
  const auto before = open_descriptors();
  const iovec part{const_cast<LaunchRequest*>(&request), sizeof request};
  for (int i = 0; i < 50; ++i) {
    if (send_message(socket_.get(), &part, 1, fds.data(), fds.size()))
      receive(ignored);
    else
      ASSERT_EQ(errno, EPERM) << "the kernel refuses them, from 6.16 on";
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(HostileDaemon, MeetsALauncherThatHasGivenUpWhatItDoesNotNeed) {
  EXPECT_EQ(ask(good_plan()).failed_step, LauncherStep::none);
  const std::string status = os::read_text("/proc/" + std::to_string(child_) + "/status");
  std::uint64_t kept = 0;
  for (const unsigned capability : launcher::kLauncherCapabilities) kept |= std::uint64_t{1} << capability;
  const auto field = [&status](const char* name) {
    return std::stoull(status.substr(status.find(name) + std::strlen(name)), nullptr, 16);
  };
  EXPECT_EQ(field("CapEff:") & ~kept, 0U);
  EXPECT_EQ(field("CapBnd:") & ~kept, 0U);
  EXPECT_EQ(field("Seccomp:"), 2U);
}

TEST_F(HostileDaemon, GetsASandboxWhoseGuestHasNoPowerOverTheMachine) {
  const LaunchRequest request{{LauncherOperation::launch, 1}, good_plan()};
  send_raw(&request, sizeof request);
  ReceivedFds fds;
  const LauncherAnswer answer = receive(fds);
  ASSERT_EQ(answer.failed_step, LauncherStep::none);
  guest_protocol::Ready ready{};
  ReceivedFds none;
  ASSERT_EQ(receive_message(fds.fds[0].get(), &ready, sizeof ready, none), static_cast<ssize_t>(sizeof ready));
  EXPECT_GE(answer.id_base, launcher::kFirstBase);
  // The guest is the launcher's only child; its ids are of the leased range, never root's.
  const std::string children =
      os::read_text("/proc/" + std::to_string(child_) + "/task/" + std::to_string(child_) + "/children");
  const std::string status = os::read_text("/proc/" + std::to_string(std::stoi(children)) + "/status");
  const std::string base = std::to_string(answer.id_base);
  EXPECT_THAT(status, testing::HasSubstr("Uid:\t" + base + "\t" + base + "\t" + base + "\t" + base));
  EXPECT_THAT(status, testing::HasSubstr("CapBnd:\t0000000000000000"));
  EXPECT_THAT(status, testing::HasSubstr("CapEff:\t00000000000000e1"));
  EXPECT_THAT(status, testing::HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(status, testing::HasSubstr("Seccomp:\t2"));
}

}  // namespace
}  // namespace lmsb
