#include "guest/write_room.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "base/unique_fd.h"
#include "os/atomic_file.h"

namespace lmsb::guest {
namespace {

bool is_refused(int error) { return error == EDQUOT || error == ENOSPC; }

bool is_full(bool has_quota) {
  struct statfs fs {};
  if (::statfs("/", &fs) < 0) return false;
  if (fs.f_blocks > 0 && (fs.f_bavail == 0 || (fs.f_files > 0 && fs.f_ffree == 0))) return true;
  if (!has_quota) return false;
  // With Profile::root / is not the guest's, and /tmp may be a link that root has made, or a volume.
  struct stat root {};
  if (::stat("/", &root) < 0) return false;
  for (const char* place : {"/", "/tmp"}) {
    const UniqueFd directory(::open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat status {};
    if (!directory || ::fstat(directory.get(), &status) < 0 || status.st_dev != root.st_dev) break;
    os::AtomicFile probe(directory.get());
    const int error = probe.open(0600);
    if (error == EACCES) continue;
    if (error != 0) return is_refused(error);
    constexpr off_t kOfAWrite = 256L * 1024;  // programs write as much at once, and are refused all of it
    return ::fallocate(probe.fd(), 0, 0, kOfAWrite) < 0 && is_refused(errno);
  }
  return false;
}

}  // namespace

bool WriteRoom::look() { return found_room_ = !is_full(has_quota_); }

}  // namespace lmsb::guest
