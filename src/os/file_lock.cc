#include "os/file_lock.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <thread>

namespace lmsb::os {

Result<bool> lock_file(int fd, std::chrono::milliseconds patience) {
  constexpr std::chrono::milliseconds kTurn{5};
  const auto end = std::chrono::steady_clock::now() + patience;
  while (::flock(fd, LOCK_EX | LOCK_NB) < 0) {
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return Error::from_errno(errno, "lock a file");
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(kTurn);
  }
  return true;
}

bool is_still_named(int fd, int directory, const char* name) {
  struct stat open_file {};
  struct stat named {};
  return ::fstat(fd, &open_file) == 0 && ::fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         open_file.st_ino == named.st_ino && open_file.st_dev == named.st_dev;
}

}  // namespace lmsb::os
