#pragma once
// Standby and Command: one process each. A standby is forked ahead of demand with everything of a command's posture
// that does not depend on the command; becoming the command is then one message. Every way to run something in a
// sandbox goes through here, so every one ends in the same posture (invariant 2).
#include <array>
#include <cstdint>
#include <sys/types.h>

#include "base/unique_fd.h"
#include "guest_protocol/messages.h"

namespace lmsb::guest {

// What a standby reports back when it could not become the command; nothing arrives when it could (exec closes it).
struct BecomeFailure {
  guest_protocol::Step step;
  std::int32_t error;
};

// A forked, confined child that waits to be told what to run. The guest owns these descriptors; the destructor closes
// them, and a standby whose socket closes exits.
struct Standby {
  pid_t pid = -1;
  UniqueFd pidfd;
  UniqueFd socket;  // to the child: one StartRequest message; from it: a BecomeFailure
  UniqueFd out;     // read ends of its pipes
  UniqueFd err;
  UniqueFd cgroup;  // its own cgroup directory c-N
  std::uint32_t cgroup_number = 0;
};

// What the commands of a sandbox are put into. Descriptors of the Builder's.
struct Confinement {
  guest_protocol::Profile profile = guest_protocol::Profile::user;
  int landlock_ruleset = -1;  // -1: the kernel has no Landlock
  int users = -1;             // with Profile::root: their user namespace
  int proc = -1;              // /proc, writable
};

// The same without Landlock, which hides commands from each other: for our own program that looks whose a socket is,
// and runs nothing else. Commands cannot look into who is not below theirs.
Confinement to_look_at_commands(Confinement confinement);

// Forks a standby into the new cgroup work/c-<number> below `cgroup`. Returns 0 or an errno; `failed` says at which
// step. The child never returns from this call.
int fork_standby(int cgroup, std::uint32_t number, const Confinement& confinement, Standby& standby,
                 guest_protocol::Step& failed);

// Lets the command be kCommandUid's, which may then open its own output by name; so may who is root there by sudo.
// Returns 0 or an errno.
int give_output_to_user(const Standby& standby);

// The cgroup of a command, for openat(2) below it.
UniqueFd open_command_cgroup(int cgroup, std::uint32_t number);

// Removes the (empty) cgroup of a command that ended.
void remove_command_cgroup(int cgroup, std::uint32_t number);

}  // namespace lmsb::guest
