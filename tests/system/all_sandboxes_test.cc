// What all sandboxes together may have.
#include <poll.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include <gmock/gmock.h>

#include "support/launcher_process.h"

namespace lmsb {
namespace {

using guest_protocol::Kind;

class AllSandboxes : public LauncherTest {};

TEST_F(AllSandboxes, LeavesTheMachineItsShareWithAllItsSandboxes) {
  EXPECT_EQ(ask(good_plan()).failed_step, sandbox::LauncherStep::none);
  struct sysinfo info {};
  ASSERT_EQ(::sysinfo(&info), 0);
  const std::string ours = "/lmsb-hostile-" + std::to_string(child_);
  const auto limit = [&](const std::string& controller, const char* v1, const char* v2) {
    std::string text = os::read_text("/sys/fs/cgroup/" + controller + ours + "/" + v1);
    if (text.empty()) text = os::read_text("/sys/fs/cgroup" + ours + "/" + v2);
    return std::strtoull(text.c_str(), nullptr, 10);
  };
  const std::uint64_t memory = limit("memory", "memory.limit_in_bytes", "memory.max");
  EXPECT_GT(memory, 0U);
  EXPECT_LE(memory, info.totalram * info.mem_unit - Bytes::MiB(256).count());
  const std::uint64_t processes = limit("pids", "pids.max", "pids.max");
  EXPECT_GT(processes, 0U);
  EXPECT_LT(processes, std::stoull(os::read_text("/proc/sys/kernel/pid_max")));
}

// Who can open a directory can lock it, and so keep a launcher from starting.
TEST_F(AllSandboxes, HaveCgroupsThatNoUserCanLock) {
  EXPECT_EQ(ask(good_plan()).failed_step, sandbox::LauncherStep::none);
  std::size_t seen = 0;
  std::istringstream mounts(os::read_text("/proc/self/mountinfo"));
  for (std::string line; std::getline(mounts, line);) {
    if (line.find(" - cgroup") == std::string::npos) continue;
    std::istringstream fields(line);
    std::string mount;
    for (int i = 0; i < 5; ++i) fields >> mount;
    struct stat info {};
    if (::stat((mount + "/lmsb-hostile-" + std::to_string(child_)).c_str(), &info) < 0) continue;
    ++seen;
    EXPECT_EQ(info.st_mode & 077U, 0U) << mount;
  }
  EXPECT_GT(seen, 0U);
}

class FewMemory : public LauncherTest {
 protected:
  static constexpr Bytes kAll = Bytes::MiB(256);

  launcher::Policy changed_policy() const override {
    launcher::Policy policy;
    policy.all = {kAll.count(), 1000};
    return policy;
  }

  static ReceivedFds& start(ReceivedFds& sandbox, const std::vector<std::string>& argv) {
    std::string body;
    for (const std::string& word : argv) body.append(word).push_back('\0');
    body.append("/workspace").push_back('\0');
    guest_protocol::StartRequest request{};
    request.header = {Kind::start, 1};
    request.program = guest_protocol::Program::exec;
    request.argc = static_cast<std::uint32_t>(argv.size());
    request.body_size = static_cast<std::uint32_t>(body.size());
    const std::array<iovec, 2> parts = {iovec{&request, sizeof request}, iovec{body.data(), body.size()}};
    EXPECT_TRUE(send_message(sandbox.fds[0].get(), parts.data(), parts.size()));
    return sandbox;
  }

  static guest_protocol::Exited wait_for_exit(const ReceivedFds& sandbox) {
    alignas(8) std::array<char, 512> buffer{};
    guest_protocol::Exited exited{};
    for (;;) {
      ReceivedFds pipes;
      if (receive_message(sandbox.fds[0].get(), buffer.data(), buffer.size(), pipes) <= 0) break;
      std::memcpy(&exited, buffer.data(), sizeof exited);
      if (exited.header.kind == Kind::exited) break;
    }
    return exited;
  }

  static const UniqueFd& fd(const ReceivedFds& sandbox, sandbox::SandboxFd which) {
    return sandbox.fds.at(static_cast<std::size_t>(which));
  }
};

// cgroup v1 tells every sandbox of it.
TEST_F(FewMemory, EndsOneSandboxAndNotTheOthers) {
  const ReceivedFds quiet = launch(good_plan());
  ReceivedFds greedy = launch(good_plan());  // 1 GiB each, by its own limit
  start(greedy, {"/usr/bin/tail", "/dev/zero"});
  const auto exited = wait_for_exit(greedy);
  if (::access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {  // v2 kills a one-shot whole, the guest too
    EXPECT_NE(exited.header.kind, Kind::exited);
  } else {
    EXPECT_EQ(exited.header.kind, Kind::exited);
    EXPECT_TRUE(WIFSIGNALED(exited.status) && WTERMSIG(exited.status) == SIGKILL) << exited.status;
  }
  std::array<char, 1024> events{};
  ASSERT_GT(::pread(fd(greedy, sandbox::SandboxFd::memory_events).get(), events.data(), events.size() - 1, 0), 0);
  EXPECT_THAT(events.data(), testing::ContainsRegex("oom_kill [1-9]"));
  launch(good_plan());  // the launcher has gone around: what it had to pass on, it has
  pollfd wait{fd(quiet, sandbox::SandboxFd::oom_event).get(), POLLIN, 0};
  EXPECT_EQ(::poll(&wait, 1, 0), 0) << "it has not run out of its own memory";
}

}  // namespace
}  // namespace lmsb
