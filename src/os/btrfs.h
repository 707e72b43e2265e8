#pragma once
// btrfs: subvolumes and what they may hold, by the kernel's own requests (btrfs-ioctl(5)); no program is called.
// Thin functions that block as the file system does. All need CAP_SYS_ADMIN.
#include <cstdint>

#include "base/result.h"

namespace lmsb::os::btrfs {

// Turns on the counting of what each subvolume holds: as simple quotas where the kernel has them (Linux 6.7), else as
// quota groups, which make snapshots of many files slow. Already on is fine.
Status enable_quota(int directory);

// Makes the empty subvolume `name` in `parent`, a directory of the file system.
Status make_subvolume(int parent, const char* name);
// What the subvolume may hold, metadata included: more is EDQUOT. `beside`: a directory of the file system outside of
// it. Asked from within one that holds more than its limit the kernel refuses this change, too.
Status limit_subvolume(int subvolume, int beside, std::uint64_t bytes);
// What the subvolume held, as its limit counts, at the file system's last commit: they come 30 s apart, or sooner.
Result<std::uint64_t> held_bytes(int subvolume);
// A copy of the subvolume `from`, as it is at this moment, named `name` in `parent`. It shares what both have: with
// simple quotas that counts for whichever wrote it, with quota groups for both. Waits for what was written in `from` to
// reach the disk.
Status copy_subvolume(int from, int parent, const char* name);
// What was written anywhere in the file system is on its disk.
Status sync(int directory);
// The subvolume goes, whatever is in it and whoever uses it; the space comes back later, in the background.
Status destroy_subvolume(int parent, const char* name);

// Whether the kernel has mounted a second copy of a file system that is mounted already, under an id made up for it
// (Linux 6.7): writing to both would be the end of one.
Result<bool> is_second_copy(int directory);

}  // namespace lmsb::os::btrfs
