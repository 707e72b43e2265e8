#include "launch_loop.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include "base/units.h"
#include "guest_protocol/messages.h"
#include "launcher/launcher.h"
#include "os/memfd.h"
#include "os/message_socket.h"
#include "samples.h"
#include "sandbox/launcher_client.h"

namespace lmsb::bench {
namespace {

using guest_protocol::Kind;
using sandbox::LaunchedSandbox;

// The launcher in a child process; ends with this object, which waits for it.
class LauncherProcess {
 public:
  static Result<UniqueFd> start(LauncherProcess& self, const LaunchLoopOptions& options) {
    std::string pattern = "/tmp/lmsb-bench-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) return Error::from_errno(errno, "make a directory in /tmp");
    self.scratch_ = pattern;
    LMSB_TRY(UniqueFd guest, os::make_sealed_copy("lm-sandbox-guest", options.guest_program));
    UniqueFd ours;
    UniqueFd theirs;
    if (!message_socket_pair(ours, theirs)) return Error::from_errno(errno, "socketpair");
    self.pid_ = ::fork();
    if (self.pid_ < 0) return Error::from_errno(errno, "fork");
    if (self.pid_ > 0) return ours;
    ours.reset();
    serve(pattern, options, std::move(guest), std::move(theirs));
  }

  ~LauncherProcess() {
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    std::error_code ignored;
    if (!scratch_.empty()) std::filesystem::remove_all(scratch_, ignored);
  }

 private:
  [[noreturn]] static void serve(const std::string& scratch, const LaunchLoopOptions& options, UniqueFd guest,
                                 UniqueFd socket) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    launcher::Policy policy;
    policy.image_root = options.image_root;
    policy.scratch = scratch + "/private";
    std::filesystem::create_directory(policy.scratch);
    if (options.kept) {  // on disks, where the daemon has them, too
      policy.disks = scratch + "/disks";
      policy.store_bytes = Bytes::GiB(8).count();
    }
    policy.cgroup_name = "floor-" + std::to_string(::getpid());
    {
      auto launcher = launcher::Launcher::create(policy, std::move(guest), std::move(socket));
      if (launcher.ok())
        (*launcher)->run(-1);
      else
        fmt::print(stderr, "floor: {}\n", launcher.error().message());
    }
    ::_exit(0);
  }

  pid_t pid_ = -1;
  std::string scratch_;
};

// One place of the loop: a sandbox on its way from launch to gone.
struct Slot {
  double begin = 0;
  double ready = 0;
  double exited = 0;
  LaunchedSandbox sandbox;
  ReceivedFds pipes;
};

sandbox::SandboxSpec spec_of(const LaunchLoopOptions& options) {
  sandbox::SandboxSpec spec;
  spec.image = options.image;
  if (options.kept) {  // as the daemon creates them
    struct sysinfo info {};
    ::sysinfo(&info);
    spec.lifetime = sandbox::Lifetime::kept;
    spec.disk = guest_protocol::Disk::fresh;
    spec.limits.memory = std::min(Bytes::GiB(4), Bytes(std::uint64_t{info.totalram} * info.mem_unit / 2));
    spec.limits.cpu_millis = static_cast<std::uint32_t>(::get_nprocs()) * 1000;
    spec.limits.processes = 1024;
    spec.limits.disk = Bytes::GiB(10);
  }
  return spec;
}

// argv, environment and working directory as POST /run-bash/ sends them.
bool send_start(int channel, const std::string& shell, const std::string& command) {
  std::string body;
  const std::array<std::string, 11> words = {shell,
                                             "-c",
                                             command,
                                             "HOME=/home/user",
                                             "LANG=C.UTF-8",
                                             "LOGNAME=user",
                                             "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                             "PWD=/workspace",
                                             "SHELL=/bin/bash",
                                             "USER=user",
                                             "/workspace"};
  for (const std::string& word : words) body.append(word).push_back('\0');
  const auto program = shell.empty() ? guest_protocol::Program::shell : guest_protocol::Program::exec;
  guest_protocol::StartRequest request{{Kind::start, 1}, program, 3, 7, static_cast<std::uint32_t>(body.size()), 0};
  const std::array<iovec, 2> parts = {iovec{&request, sizeof request}, iovec{body.data(), body.size()}};
  return send_message(channel, parts.data(), parts.size());
}

class Loop {
 public:
  Loop(const LaunchLoopOptions& options, UniqueFd socket)
      : options_(options), spec_(spec_of(options)), client_(std::move(socket)) {}

  Result<std::string> run() {
    begin_ = now_ms();
    end_ = begin_ + options_.seconds * 1e3;
    for (std::size_t i = 0; i < options_.concurrency; ++i) LMSB_CHECK(launch());
    while (!requests_.empty() || !running_.empty()) LMSB_CHECK(wait_and_serve());
    const double wall = now_ms() - begin_;
    return fmt::format(R"({{{},"per_second":{:.2f},"ready":{{{}}},"exec":{{{}}},"destroy":{{{}}}}})", rounds_.json(),
                       static_cast<double>(rounds_.count()) / wall * 1e3, ready_.json(), exec_.json(), destroy_.json());
  }

 private:
  Status launch() {
    if (now_ms() >= end_) return {};
    spec_.id = SandboxId::create();
    LMSB_TRY(const auto plan, sandbox::plan(spec_));
    Slot slot;
    slot.begin = now_ms();
    LMSB_TRY(const auto request, client_.send_launch(plan));
    requests_[request] = std::move(slot);
    return {};
  }

  Status wait_and_serve() {
    polls_.assign(1, {client_.fd(), POLLIN, 0});
    for (const auto& [channel, slot] : running_) polls_.push_back({channel, POLLIN, 0});
    if (::poll(polls_.data(), polls_.size(), 10'000) <= 0)
      return Error(ErrorCode::deadline_exceeded, "nothing happens");
    for (std::size_t i = 1; i < polls_.size(); ++i)
      if (polls_[i].revents != 0) LMSB_CHECK(on_guest(polls_[i].fd));
    return polls_[0].revents != 0 ? on_launcher() : Status();
  }

  Status on_launcher() {
    LMSB_TRY(auto answer, client_.receive());
    if (!answer) return {};
    if (!answer->launched.ok()) return std::move(answer->launched).error();
    const auto found = requests_.find(answer->request);
    Slot slot = std::move(found->second);
    requests_.erase(found);
    if (slot.exited > 0) {
      destroy_.add(now_ms() - slot.exited);
      rounds_.add(now_ms() - slot.begin);
      return launch();
    }
    slot.sandbox = *std::move(answer->launched);
    const int channel = slot.sandbox.channel.get();
    running_[channel] = std::move(slot);
    return {};
  }

  Status on_guest(int channel) {
    alignas(8) std::array<char, 512> buffer{};
    ReceivedFds fds;
    if (receive_message(channel, buffer.data(), buffer.size(), fds) <= 0)
      return Error(ErrorCode::unavailable, "a guest ended");
    guest_protocol::Header header{};
    std::memcpy(&header, buffer.data(), sizeof header);
    Slot& slot = running_[channel];
    switch (header.kind) {
      case Kind::ready:
        slot.ready = now_ms();
        ready_.add(slot.ready - slot.begin);
        if (!send_start(channel, options_.shell, options_.command)) return Error::from_errno(errno, "send the command");
        return {};
      case Kind::started: slot.pipes = std::move(fds); return {};
      case Kind::exited: return on_exited(channel);
      default: return Error(ErrorCode::internal, fmt::format("a guest sent message {}", static_cast<int>(header.kind)));
    }
  }

  Status on_exited(int channel) {
    Slot slot = std::move(running_[channel]);
    running_.erase(channel);
    std::array<char, 4096> output{};
    for (std::size_t i = 0; i < slot.pipes.count; ++i)
      if (::read(slot.pipes.fds[i].get(), output.data(), output.size()) < 0)
        return Error::from_errno(errno, "read the output");
    slot.exited = now_ms();
    exec_.add(slot.exited - slot.ready);
    const std::uint64_t serial = slot.sandbox.serial;
    slot.sandbox = {};
    slot.pipes = {};
    LMSB_TRY(const auto request, client_.send_destroy(serial, sandbox::LauncherClient::Disk::remove));
    requests_[request] = std::move(slot);
    return {};
  }

  const LaunchLoopOptions& options_;
  sandbox::SandboxSpec spec_;
  sandbox::LauncherClient client_;
  double begin_ = 0;
  double end_ = 0;
  std::map<std::uint32_t, Slot> requests_;  // launches and destroys that the launcher has not answered
  std::map<int, Slot> running_;             // by channel
  std::vector<pollfd> polls_;
  Samples rounds_, ready_, exec_, destroy_;
};

}  // namespace

Result<std::string> run_launch_loop(const LaunchLoopOptions& options) {
  LauncherProcess launcher;
  LMSB_TRY(UniqueFd socket, LauncherProcess::start(launcher, options));
  Loop loop(options, std::move(socket));
  return loop.run();
}

}  // namespace lmsb::bench
