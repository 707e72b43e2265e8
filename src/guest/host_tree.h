#pragma once
// The root of image `host`: an empty tmpfs becomes a tree in which the machine's own /usr can run, with a made-up
// /etc and nothing else of the machine.
#include "guest_protocol/setup.h"

namespace lmsb::guest {

// Fills the empty directory `root`. Returns 0 or an errno.
int fill_host_tree(int root, const guest_protocol::Setup& setup);

// What follows from the sandbox, in every image: hostname, hosts, resolv.conf, machine-id, the CPU count under /sys.
int write_identity(int root, const guest_protocol::Setup& setup);

}  // namespace lmsb::guest
