#pragma once
// A launcher in a process of its own, with the test at the daemon's end of its socket.
#include <csignal>
#include <cstring>
#include <filesystem>
#include <sstream>
#include <sys/wait.h>
#include <vector>

#include <gtest/gtest.h>

#include "guest_protocol/messages.h"
#include "launcher/launcher.h"
#include "os/end_with_parent.h"
#include "os/files.h"
#include "os/memfd.h"
#include "os/message_socket.h"
#include "sandbox/launcher_client.h"

namespace lmsb {

class LauncherTest : public testing::Test {
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
    if (!os::end_with_parent(test_, SIGKILL)) ::_exit(14);
    socket_.reset();
    launcher::Policy policy = changed_policy();
    if (policy.needs_store) policy.disks = directory_ + "/disks";
    policy.image_root = directory_ + "/images";
    policy.scratch = directory_ + "/scratch";
    policy.cgroup_name = "hostile-" + std::to_string(::getpid());
    policy.mounts_socket = directory_ + "/mounts.sock";
    auto guest = os::make_sealed_copy("guest", LMSB_GUEST);
    auto archiver = os::make_sealed_copy("archiver", LMSB_ARCHIVER);
    auto gate = os::make_sealed_copy("gate", LMSB_GATE);
    if (!guest.ok() || !archiver.ok() || !gate.ok()) ::_exit(11);
    auto launcher = launcher::Launcher::create(policy, *std::move(guest), std::move(socket));
    if (!launcher.ok()) ::_exit(12);
    if (!(*launcher)->use_archiver(*std::move(archiver)).ok()) ::_exit(13);
    if (!(*launcher)->use_gate(*std::move(gate)).ok()) ::_exit(13);
    (*launcher)->run(-1);
    launcher->reset();
    ::_exit(0);
  }

  // What the test changes of the policy.
  virtual launcher::Policy changed_policy() const { return {}; }

  void send_raw(const void* data, std::size_t size, const std::vector<int>& fds = {}) {
    const iovec part{const_cast<void*>(data), size};
    ASSERT_TRUE(send_message(socket_.get(), &part, 1, fds.data(), fds.size()));
  }

  // The next answer with its descriptors.
  sandbox::LauncherAnswer receive(ReceivedFds& fds) {
    sandbox::LauncherAnswer answer{};
    EXPECT_EQ(receive_message(socket_.get(), &answer, sizeof answer, fds), static_cast<ssize_t>(sizeof answer));
    return answer;
  }

  sandbox::LauncherAnswer ask(const sandbox::LaunchPlan& plan) {
    const sandbox::LaunchRequest request{{sandbox::LauncherOperation::launch, 1}, plan};
    send_raw(&request, sizeof request);
    ReceivedFds fds;
    return receive(fds);
  }

  // Launches, waits until the sandbox stands, and returns its descriptors.
  ReceivedFds launch(const sandbox::LaunchPlan& plan) {
    const sandbox::LaunchRequest request{{sandbox::LauncherOperation::launch, 1}, plan};
    send_raw(&request, sizeof request);
    ReceivedFds fds;
    answer_ = receive(fds);
    EXPECT_EQ(answer_.failed_step, sandbox::LauncherStep::none);
    guest_protocol::Ready ready{};
    ReceivedFds none;
    EXPECT_EQ(receive_message(fds.fds[0].get(), &ready, sizeof ready, none), static_cast<ssize_t>(sizeof ready));
    return fds;
  }

  // The only guest there is, as /proc calls it.
  std::string guest() const {
    const std::string launcher = std::to_string(child_);
    return std::to_string(std::stoi(os::read_text("/proc/" + launcher + "/task/" + launcher + "/children")));
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
  pid_t test_ = ::getpid();
  pid_t child_ = -1;
  sandbox::LauncherAnswer answer_{};  // of launch()
};

}  // namespace lmsb
