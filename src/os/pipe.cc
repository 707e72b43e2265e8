#include "os/pipe.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace lmsb::os {
namespace {

constexpr std::size_t kSpliced = 64 * 1024;  // what a new pipe holds

struct OwnPipe {
  UniqueFd read;
  UniqueFd write;
};

OwnPipe make_own_pipe() {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) < 0) return {};
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

}  // namespace

bool is_readable_pipe(int fd) {
  struct stat kind {};
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) == O_RDONLY && (flags & O_PATH) == 0 && ::fstat(fd, &kind) == 0 &&
         S_ISFIFO(kind.st_mode);
}

ssize_t read_pipe_now(int pipe, void* buffer, std::size_t size) {
  const iovec part{buffer, size};
  ssize_t got = 0;
  do got = ::preadv2(pipe, &part, 1, -1, RWF_NOWAIT);
  while (got < 0 && errno == EINTR);
  return got < 0 && errno == EOPNOTSUPP ? read_pipe_by_splice(pipe, buffer, size) : got;
}

ssize_t read_pipe_by_splice(int pipe, void* buffer, std::size_t size) {
  thread_local OwnPipe own = make_own_pipe();  // always empty between calls
  if (!own.read) return errno = EMFILE, -1;
  ssize_t moved = 0;
  do moved = ::splice(pipe, nullptr, own.write.get(), nullptr, std::min(size, kSpliced), SPLICE_F_NONBLOCK);
  while (moved < 0 && errno == EINTR);
  return moved <= 0 ? moved : ::read(own.read.get(), buffer, static_cast<std::size_t>(moved));
}

}  // namespace lmsb::os
