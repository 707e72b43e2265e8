#pragma once
// SandboxHandle: one live sandbox as the daemon holds it. Dropping it ends the sandbox: everything in it is killed and
// given back, off the path of whoever drops it.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "guest_client/channel.h"
#include "sandbox/launch_plan.h"
#include "sandbox/launcher_client.h"

namespace lmsb::control {

class SandboxHandle {
 public:
  // `release` is called once, with the launcher's serial, when the handle goes.
  SandboxHandle(boost::asio::io_context& loop, const sandbox::SandboxSpec& spec, sandbox::LaunchedSandbox launched,
                std::function<void(std::uint64_t)> release);
  ~SandboxHandle();
  SandboxHandle(const SandboxHandle&) = delete;
  SandboxHandle& operator=(const SandboxHandle&) = delete;

  const std::string& id() const { return id_; }
  std::uint64_t serial() const { return launched_.serial; }
  const std::string& image() const { return image_; }
  const sandbox::Limits& limits() const { return limits_; }
  guest_client::Channel& channel() { return channel_; }

  // Kills every command of the sandbox; the guest lives on to report. Never blocks.
  void kill_commands();
  // Whether the kernel has killed something for want of memory since the last call.
  bool was_out_of_memory();
  // Whether the kernel counts a kill that was_out_of_memory() has not reported. False once the cgroup is gone.
  bool has_oom_kills() const { return count_oom_kills() > oom_kills_seen_; }
  // The highest memory use so far; 0 when the kernel does not say.
  std::uint64_t peak_memory_bytes() const;
  int landlock_abi = 0;  // as the guest reported

 private:
  struct OomWatch;
  std::uint64_t count_oom_kills() const;

  std::string id_;
  std::string image_;
  sandbox::Limits limits_;
  sandbox::LaunchedSandbox launched_;
  std::function<void(std::uint64_t)> release_;
  guest_client::Channel channel_;
  std::shared_ptr<OomWatch> oom_watch_;
  std::uint64_t oom_kills_seen_ = 0;
};

}  // namespace lmsb::control
