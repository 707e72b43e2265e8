#pragma once
// MountReceiver: the short-lived process that takes one caller's offer at the mount desk (mount_desk.h).
//
// Whoever passes a descriptor chooses what its holder waits for: closing a lingering TCP socket, or asking a FUSE
// server what a file is, can take for ever. So the launcher never holds what a stranger passed. It forks a receiver for
// each caller, which accepts the connection, becomes that caller's user without any capability, takes the message, and
// hands on nothing but a directory opened with O_PATH on a local file system: holding and closing such a one waits for
// nobody.
//
// Of a user's desk (starter.h) every caller is received as that user, and the directory is opened anew, by the name
// that the kernel has for it and without following links, in the mount namespace that the launcher clones from: what
// was passed stands in another one. It has to be the same directory still. The launcher itself walks no such path.
//
//     receiver → launcher   MountCaller: who it is, as the kernel says. The receiver is still root.
//     launcher → receiver   MountWord: take the offer; or the answer already, when the caller has too many under way
//     receiver → launcher   MountFound: an errno, or the directory
//     launcher → receiver   MountWord: the answer, which the receiver passes on before it ends
#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"
#include "launcher/spawn.h"
#include "sandbox/mount_token.h"

namespace lmsb::launcher {

struct MountCaller {
  std::uint32_t uid;
  std::uint32_t gid;
};

struct MountWord {
  std::uint32_t take_offer;   // 1: go on; 0: `reply` is the end
  sandbox::MountReply reply;  // to the caller
};

struct MountFound {
  std::int32_t error;  // errno; 0 = the directory comes with this message
};

struct MountReceiver {
  GuestProcess process;
  UniqueFd control;  // non-blocking; closed by the other end when the process is gone
};

// Forks a receiver for the next caller of `listener`. The parent holds nothing of the caller's. `outside`: of a user's
// desk, the mount namespace to open directories in; else -1.
Result<MountReceiver> start_mount_receiver(int listener, int outside = -1);

}  // namespace lmsb::launcher
