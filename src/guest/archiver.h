#pragma once
// archiver: the process that reads or writes a whole disk as one stream (docs/adr/0036). The launcher clones it as it
// does a guest: new namespaces, an id range, a cgroup; it builds no sandbox, but goes into the disk, keeps the few
// capabilities that reading or writing other users' files needs, and takes a filter that knows nothing else.
#include "guest_protocol/archive.h"
#include "os/message_socket.h"

namespace lmsb::guest {

// Takes the power of an archiver and does what `setup` says; `fds` came with it. Never reports half a success.
guest_protocol::ArchiveReport run_archiver(const guest_protocol::ArchiveSetup& setup, ReceivedFds& fds);

}  // namespace lmsb::guest
