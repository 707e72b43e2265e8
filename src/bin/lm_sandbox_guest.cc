// lm-sandbox-guest: PID 1 of every sandbox. Started by the launcher with its channel as descriptor 3; static, and run
// from a sealed memfd, so that nothing of the image is ever loaded by it. Inside a sandbox with root a copy of it is
// `sudo`: nobody there is PID 1, so that it cannot be a guest.
#include <array>
#include <cstddef>
#include <new>
#include <sys/prctl.h>
#include <unistd.h>

#include "guest/build.h"
#include "guest/server.h"
#include "guest/sudo.h"

namespace {

using lmsb::guest_protocol::kChannelFd;

void send_failed(lmsb::guest_protocol::Step step, int error) {
  lmsb::guest_protocol::Failed failed{{lmsb::guest_protocol::Kind::failed, 0}, step, error};
  const iovec part{&failed, sizeof failed};
  (void)lmsb::send_message(kChannelFd, &part, 1);
}

}  // namespace

int main(int /*argc*/, char** argv, char** envp) {
  using namespace lmsb::guest;
  using lmsb::guest_protocol::Setup;
  using lmsb::guest_protocol::Step;
  if (::getpid() != 1) return run_sudo(argv, envp);
  ::prctl(PR_SET_DUMPABLE, 0);
  alignas(Setup) static std::array<std::byte, sizeof(Setup)> room;  // in the program's file it would take 8 KiB
  Setup& setup = *new (room.data()) Setup;
  static lmsb::ReceivedFds fds;
  const ssize_t size = lmsb::receive_message(kChannelFd, &setup, sizeof setup, fds);
  if (size != static_cast<ssize_t>(sizeof setup) || setup.magic != lmsb::guest_protocol::kSetupMagic ||
      setup.version != lmsb::guest_protocol::kVersion) {
    send_failed(Step::receive_setup, EPROTO);
    return 1;
  }
  static Builder builder(setup, fds);
  if (!builder.build()) {
    send_failed(builder.failure().step, builder.failure().error);
    return 1;
  }
  static Server server(kChannelFd, builder, setup.keep_standby != 0);
  Step failed{};
  if (const int error = server.prepare(failed); error != 0) {
    send_failed(failed, error);
    return 1;
  }
  if (server.send_ready()) server.run();
  return 0;
}
