// lm-sandbox-gate: the one way out of one sandbox's network (network/gate.h). Started by the launcher with its channel
// as descriptor 3, as guests are; static, and run from a sealed memfd. It has ids of its own, no capability, no file
// system, and sockets alone.
#include <csignal>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "guest/posture.h"
#include "guest_protocol/gate.h"
#include "guest_protocol/setup.h"
#include "network/gate.h"
#include "os/message_socket.h"

namespace {

constexpr std::uint64_t kOpenFiles = 4096;

int give_up_power(int filter) {
  using namespace lmsb::guest;  // NOLINT(google-build-using-namespace): all of it is of there
  (void)::signal(SIGPIPE, SIG_IGN);
  int error = leave_session_keyring();
  if (error == 0) error = limit_resource(RLIMIT_CORE, 1, 1);
  if (error == 0) error = limit_resource(RLIMIT_NOFILE, kOpenFiles, kOpenFiles);
  if (error == 0) error = limit_resource(RLIMIT_FSIZE, 0, 0);
  if (error == 0) error = keep_capabilities(0);
  if (error == 0) error = no_new_privs();
  return error == 0 ? install_seccomp_from(filter) : error;
}

}  // namespace

int main() {
  ::prctl(PR_SET_DUMPABLE, 0);
  const int channel = lmsb::guest_protocol::kChannelFd;
  lmsb::guest_protocol::GateStart start;
  {
    lmsb::ReceivedFds fds;
    const ssize_t size = lmsb::receive_message(channel, &start, sizeof start, fds);
    const bool is_whole = size == static_cast<ssize_t>(sizeof start) && fds.count == 1 &&
                          start.magic == lmsb::guest_protocol::kGateMagic &&
                          start.version == lmsb::guest_protocol::kGateVersion;
    if (!is_whole || give_up_power(fds.fds[0].get()) != 0) return 1;
  }
  static lmsb::network::Gate gate(channel);
  return gate.run() == 0 ? 0 : 1;
}
