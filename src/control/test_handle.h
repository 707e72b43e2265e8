#pragma once
// A handle of a sandbox that is not there, for tests: its guest, whose end the test has, says nothing.
#include <memory>
#include <sys/mman.h>
#include <utility>

#include <gtest/gtest.h>

#include "control/sandbox_handle.h"
#include "os/message_socket.h"

namespace lmsb::control {

inline std::shared_ptr<SandboxHandle> silent_handle(boost::asio::io_context& loop, UniqueFd& guest) {
  sandbox::LaunchedSandbox launched;
  EXPECT_TRUE(message_socket_pair(launched.channel, guest));
  launched.freeze = UniqueFd(::memfd_create("freeze", MFD_CLOEXEC));
  EXPECT_TRUE(launched.freeze);
  sandbox::SandboxSpec spec;
  spec.lifetime = sandbox::Lifetime::kept;
  return std::make_shared<SandboxHandle>(loop, spec, std::move(launched), SandboxHandle::Guest::fresh,
                                         [](std::uint64_t, std::optional<SandboxHandle::Disk>, Capacity::Share) {});
}

}  // namespace lmsb::control
