#pragma once
// disk_unpack: a disk's tree made from an archive that nobody has checked (disk_tar.h). Everything is made, nothing
// opened that was there: each member lies in a directory that this has made and still holds, and is named by one
// component; only the file that a hard link leads to is looked up, beneath the disk and through no link. So nothing
// outside is reached, and nothing is replaced. The disk's quota bounds what is written. One thread; blocks.
#include "guest/disk_pack.h"
#include "guest/disk_tar.h"

namespace lmsb::guest {

// `root`: the top directory of an empty disk. Problems: EBADMSG (the archive is not as it should be), EPIPE (cut off),
// EDQUOT (more than the disk may hold, or than `max_members`), ENOSPC, EFBIG, or what the source said.
void unpack_disk(int root, DiskTarReader& reader, std::uint64_t max_members, DiskProblem& problem);

}  // namespace lmsb::guest
