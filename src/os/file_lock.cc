#include "os/file_lock.h"

#include <cerrno>
#include <sys/file.h>
#include <thread>

namespace lmsb::os {

bool lock_file(int fd, std::chrono::milliseconds patience) {
  constexpr std::chrono::milliseconds kTurn{5};
  const auto end = std::chrono::steady_clock::now() + patience;
  while (::flock(fd, LOCK_EX | LOCK_NB) < 0) {
    if (errno != EWOULDBLOCK || std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(kTurn);
  }
  return true;
}

}  // namespace lmsb::os
