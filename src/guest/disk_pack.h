#pragma once
// disk_pack: a disk's tree written as one archive (disk_tar.h). Of its top directory only what belongs to the sandbox
// is in it: `upper`, the writable layer of an image, or `root`. Sockets are left out: nothing could listen behind them.
// Nothing is followed; the disk is read-only, so nothing changes meanwhile. One thread; blocks.
#include "guest/disk_tar.h"
#include "os/tree_walk.h"

namespace lmsb::guest {

// What went wrong, and where.
struct DiskProblem {
  int error = 0;
  os::PathBuffer path;
  void note(std::string_view where, int why);
};

// `root`: the disk's top directory. All of it or a problem: E2BIG (more hard links or attributes than can be carried),
// ENAMETOOLONG, ENOTSUP (a device), or what the kernel or the sink said.
void pack_disk(int root, DiskTarWriter& writer, DiskProblem& problem);

// Which parts of a file of `size` octets are there. Holes shorter than 64 KiB, and longer ones where `extents` has no
// room for more, count as octets. False: it has no holes. Leaves the last place of `extents` free.
bool find_extents(int file, std::uint64_t size, std::span<Extent> extents, std::size_t& count);

}  // namespace lmsb::guest
