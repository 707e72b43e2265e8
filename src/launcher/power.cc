#include "launcher/power.h"

#include <algorithm>
#include <cerrno>
#include <linux/seccomp.h>
#include <string>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "guest_protocol/profile.h"
#include "launcher/filters.h"
#include "os/files.h"
#include "os/sys.h"

namespace lmsb::launcher {
namespace {

bool contains(std::span<const unsigned> set, unsigned capability) {
  return std::find(set.begin(), set.end(), capability) != set.end();
}

Status bound_capabilities(std::span<const unsigned> kept) {
  for (unsigned capability = 0; ::prctl(PR_CAPBSET_READ, capability) >= 0; ++capability)
    if (!contains(kept, capability) && ::prctl(PR_CAPBSET_READ, capability) == 1 &&
        ::prctl(PR_CAPBSET_DROP, capability) < 0)
      return Error::from_errno(errno, "drop capability " + std::to_string(capability));
  return {};
}

void raise_limit(int number, std::uint64_t soft, std::uint64_t hard) {
  const auto resource = static_cast<__rlimit_resource>(number);
  rlimit now{};
  if (::getrlimit(resource, &now) < 0) return;
  const rlimit raised{std::max<rlim_t>(now.rlim_cur, soft), std::max<rlim_t>(now.rlim_max, hard)};
  if (::setrlimit(resource, &raised) == 0) return;
  now.rlim_cur = std::min(raised.rlim_cur, now.rlim_max);
  (void)::setrlimit(resource, &now);  // cannot fail: it is below what is allowed
}

}  // namespace

Status keep_capabilities(std::span<const unsigned> kept) {
  LMSB_CHECK(bound_capabilities(kept));
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) < 0) return Error::from_errno(errno, "read the capabilities");
  std::array<std::uint32_t, 2> mask{};
  for (const unsigned capability : kept) mask.at(capability / 32) |= 1U << capability % 32;
  for (std::size_t i = 0; i < sets.size(); ++i) {
    sets.at(i).permitted &= mask.at(i);
    sets.at(i).effective = sets.at(i).permitted;
    sets.at(i).inheritable = 0;
  }
  if (::syscall(SYS_capset, &header, sets.data()) < 0) return Error::from_errno(errno, "give up capabilities");
  return {};
}

Status raise_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  if (::syscall(SYS_capget, &header, sets.data()) < 0) return Error::from_errno(errno, "read the capabilities");
  for (auto& set : sets) set.effective = set.permitted;
  if (::syscall(SYS_capset, &header, sets.data()) < 0) return Error::from_errno(errno, "raise the capabilities");
  return {};
}

Status install_filter(const SeccompTables& tables) {
  LMSB_TRY(auto program, compile_seccomp(tables));
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (sys::seccomp(SECCOMP_SET_MODE_FILTER, 0, &filter) < 0)
    return Error::from_errno(errno, "install a system-call filter");
  return {};
}

Status give_up_launcher_power() {
  if (::prctl(PR_SET_DUMPABLE, 0) < 0) return Error::from_errno(errno, "close the launcher to inspection");
  LMSB_CHECK(keep_capabilities(kLauncherCapabilities));
  return install_filter(launcher_filter());
}

Status give_up_daemon_power() {
  if (sys::join_session_keyring() < 0 && errno != ENOSYS) return Error::from_errno(errno, "join a session keyring");
  const rlimit none{1, 1};  // a byte holds no dump; and 1 alone, not 0, stops the kernel from piping one to a program
  if (::setrlimit(RLIMIT_CORE, &none) < 0 && errno != EPERM) return Error::from_errno(errno, "limit core dumps");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return Error::from_errno(errno, "set no_new_privs");
  return install_filter(daemon_filter());
}

Status close_all_but(std::vector<int> kept) {
  for (const int standard : {0, 1, 2}) kept.push_back(standard);
  std::sort(kept.begin(), kept.end());
  unsigned next = 0;
  for (const int fd : kept) {
    const auto number = static_cast<unsigned>(fd);
    if (fd < 0 || number < next) continue;
    if (number > next && sys::close_range(next, number - 1, 0) < 0) return Error::from_errno(errno, "close_range");
    next = number + 1;
  }
  if (sys::close_range(next, ~0U, 0) < 0) return Error::from_errno(errno, "close_range");
  return {};
}

void raise_limits() {
  for (const guest_protocol::ResourceLimit& wanted : guest_protocol::kResourceLimits)
    raise_limit(wanted.resource, wanted.soft, wanted.hard);
  raise_limit(RLIMIT_NPROC, RLIM_INFINITY, RLIM_INFINITY);  // each guest has its own
}

bool lower_oom_score(int score) { return os::write_text("/proc/self/oom_score_adj", std::to_string(score)).ok(); }

}  // namespace lmsb::launcher
