#pragma once
// power: what launcher and daemon give up for good before they serve (launch.md, "Processes and power"). Each acts on
// the calling process, which has one thread. An Error ends the start: nothing runs with more than it should.
#include <array>
#include <linux/capability.h>
#include <span>
#include <vector>

#include "base/result.h"
#include "os/seccomp_compiler.h"

namespace lmsb::launcher {

// All that the launcher keeps. Overlays act with what their mounter had, so they are why FOWNER and FSETID are here.
inline constexpr std::array<unsigned, 11> kLauncherCapabilities = {
    CAP_CHOWN,  // upper layers and cgroups belong to sandboxes
    CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER,
    CAP_FSETID,  // overlay: copying a setgid directory up
    CAP_KILL,    // receivers (mount_receiver.h) run as their callers
    CAP_SETGID,  // id maps; becoming a receiver
    CAP_SETUID,
    CAP_SYS_CHROOT,    // setns into the machine's mount namespace, for -v
    CAP_SYS_ADMIN,     // mounts
    CAP_SYS_RESOURCE,  // guests' oom score
};

// No further namespace of capabilities: the bounding set too. Those that this process has not are no error.
Status keep_capabilities(std::span<const unsigned> kept);

// What this process may use it uses again: the kernel puts it aside where root becomes somebody else for a while.
Status raise_capabilities();

// Compiles and installs a filter. Needs no_new_privs or CAP_SYS_ADMIN.
Status install_filter(const SeccompTables& tables);

// The launcher's: filter, capabilities, not to be traced or dumped.
Status give_up_launcher_power();

// A session keyring of its own (root's is not to be read from), no core dumps, no_new_privs, the filter. For a process
// that has become the daemon's user already.
Status give_up_daemon_power();

// Closes every descriptor but 0, 1, 2 and `kept`: what whoever started us left open is nobody's here.
Status close_all_but(std::vector<int> kept);

// Gives this process, and so all that it starts, what a guest sets for itself (kResourceLimits) where it has less, be
// it from a unit's LimitNOFILE= or from the ulimit of a shell: a guest cannot raise anything. Without CAP_SYS_RESOURCE
// no further than to the hard limits, and sandboxes get the machine's, which are less.
void raise_limits();

// Makes the kernel look for others first when memory runs out; false where that is not permitted, which only weakens.
bool lower_oom_score(int score);

}  // namespace lmsb::launcher
