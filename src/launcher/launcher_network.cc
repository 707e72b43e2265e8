// What goes through the network of a sandbox: see launcher.h.
#include <cerrno>
#include <fcntl.h>

#include "launcher/launcher.h"
#include "os/sys.h"

namespace lmsb::launcher {

using sandbox::LauncherStep;

// The file is of the network that its guest is in when it is opened. The guest of an earlier launcher's sandbox is not
// our child: that it still lives then says that its number was its own.
void Launcher::open_network(std::uint32_t request, const std::string& id) {
  const auto live = live_ids_.find(id);
  if (live == live_ids_.end() || live->second == 0) return refuse(request, LauncherStep::not_found, ENOENT);
  const Sandbox& sandbox = sandboxes_.at(live->second);
  if (!sandbox.is_kept || sandbox.reaped) return refuse(request, LauncherStep::not_found, ENOENT);
  const std::string path = "/proc/" + std::to_string(sandbox.guest.pid) + "/net/dev";
  const UniqueFd counters(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!counters && errno != ENOENT && errno != ESRCH) return refuse(request, LauncherStep::not_found, errno);
  if (!counters || sys::pidfd_send_signal(sandbox.guest.pidfd.get(), 0) < 0)
    return refuse(request, LauncherStep::not_found, ENOENT);
  const int fd = counters.get();
  answer({request}, &fd, 1);
}

}  // namespace lmsb::launcher
