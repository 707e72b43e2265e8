#include "store/reserve.h"

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace lmsb::store {

Status Reserve::hold() {
  if (is_held_) return {};
  const UniqueFd file(::open(path_.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
  const int failed = file ? ::posix_fallocate(file.get(), 0, kBytes) : errno;
  is_held_ = failed == 0;
  if (is_held_) return {};
  if (file) release();  // part of it is of no use here
  return Error::from_errno(failed, "keep room for removals in " + path_)
      .with_code(failed == ENOSPC || failed == EDQUOT ? ErrorCode::resource_exhausted : ErrorCode::unavailable)
      .with_slug(failed == ENOSPC || failed == EDQUOT ? "store_full" : "")
      .with_hint("make room on the file system of the data directory; removing sandboxes, snapshots and volumes works");
}

void Reserve::release() {
  (void)::unlink(path_.c_str());  // what is there all the same is found by the next hold()
  is_held_ = false;
}

}  // namespace lmsb::store
