#pragma once
// Posture: what a process in a sandbox may do. Two rows for each profile, and no other way to end up: "guest" (PID 1)
// and "command" (everything it starts). Each function returns 0 or an errno and is allocation-free.
#include <linux/filter.h>
#include <span>

#include "base/unique_fd.h"
#include "guest_protocol/setup.h"

namespace lmsb::guest {

// Guest: bounding, inheritable and ambient sets empty, permitted = effective = kGuestCapabilities, securebits locked;
// with Profile::root another id. Children inherit all of it, so a command only has to give up the rest.
int become_guest(guest_protocol::Profile profile);
// For good: what is permitted now, all of it.
int drop_all_capabilities();
// The same with other capabilities: bit N of `mask` is capability N. For an archiver.
int keep_capabilities(std::uint64_t mask);
int no_new_privs();
// Descriptors: a guest may have as many as the hard limit (three for each command alive), a command starts with the
// soft one, which programs that use select(2) need.
enum class OpenFiles : std::uint8_t { of_guest, of_command };
int limit_open_files(OpenFiles whose);
// Installs the filter program read from a sealed memfd (an array of sock_filter).
int install_seccomp_from(int fd);
// The same behind `first`, whose questions (SECCOMP_RET_USER_NOTIF) come to `listener`. Who asks waits for the answer
// through all signals but those that end it, where the kernel can have that (5.19). EINVAL: the kernel has no such
// questions; EBUSY: somebody else gets them already. Then nothing is installed.
int install_seccomp_behind(std::span<const sock_filter> first, int fd, UniqueFd& listener);
// Never above what is allowed already.
int limit_resource(int resource, std::uint64_t soft, std::uint64_t hard);
// New namespaces of all kinds that a first process does not have yet; its mounts are its own.
int unshare_namespaces();
// Without it the launcher's keyring would be readable from inside.
int leave_session_keyring();

// A Landlock ruleset: read and execute everywhere, write below the writable trees only, with Profile::root everywhere;
// device nodes nowhere. Returns its descriptor and sets `abi`, or -errno (-ENOSYS, -EOPNOTSUPP: the kernel has none).
int make_landlock_ruleset(int root, const guest_protocol::Setup& setup, int& abi);

// Command, part one, before the command is known: Landlock, and one more filter that takes clone3 away (its flags lie
// in memory, where no filter can see them), and setns.
int restrict_command(int landlock_ruleset);
// Command, part two, last before exec: kCommandUid without any capability, or root of the users' namespace (users.h)
// with kRootCapabilities. With Profile::root the process is there already, with all capabilities.
int become_command_user(guest_protocol::Profile profile, bool as_user);

}  // namespace lmsb::guest
