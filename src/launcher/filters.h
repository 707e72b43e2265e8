#pragma once
// The system-call filters of launcher, daemon, archivers and gates (launch.md, "Processes and power"). Those of
// sandboxes are in sandbox/seccomp_table.h.
#include "os/seccomp_compiler.h"

namespace lmsb::launcher {

// A deny-list: what neither the launcher nor a guest, which inherits it, ever does. It takes nothing from sandboxes
// that their own list gives.
SeccompTables launcher_filter();

// An allow-list, for the daemon from its first instruction on: files, sockets, threads, timers. No new process, no
// namespace, mount, trace or key; what is not listed is EPERM. clone3 is ENOSYS: the C library then uses clone, whose
// flags a filter can see.
SeccompTables daemon_filter();

// An allow-list, for an archiver once it is in its disk: what reading or writing a tree by descriptors needs.
SeccompTables archiver_filter();
// The same for a gate: sockets of the internet, and nothing that has a name in a file system.
SeccompTables gate_filter();

}  // namespace lmsb::launcher
