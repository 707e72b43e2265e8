#pragma once
// What a sandbox is shown of the machine for its devices (guest_protocol/devices.h). After the root stands, before
// anything of the sandbox's runs. No allocation.
namespace lmsb::guest {

// Does each record of the file: what is to be shown is taken, by its number, from the tree that stands at `files`
// below `root`. The root may be a disk that an earlier guest has left, with links wherever they hurt: they are followed
// as the sandbox itself would follow them, and lead into no other mount. A link in the place of what is to be there is
// replaced. Returns 0 or an errno.
int place_devices(int root, const char* files, int records);

}  // namespace lmsb::guest
