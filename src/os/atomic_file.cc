#include "os/atomic_file.h"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace lmsb::os {
namespace {

constexpr unsigned kNoReplace = 1;  // RENAME_NOREPLACE

}  // namespace

void AtomicFile::discard() {
  if (std::exchange(is_named_, false)) (void)::unlinkat(dir_, name_.data(), 0);
  fd_.reset();
}

void make_hidden_name(std::array<char, 32>& name) {
  std::uint64_t number = 0;
  (void)!::getrandom(&number, sizeof number, 0);  // a name that is taken is an error of its own
  std::snprintf(name.data(), name.size(), ".lmsb-%016llx", static_cast<unsigned long long>(number));
}

bool is_hidden_name(std::string_view name) {
  constexpr std::string_view kPrefix = ".lmsb-";
  if (!name.starts_with(kPrefix)) return false;
  name.remove_prefix(kPrefix.size());
  return name.starts_with("deep-") ||
         (name.size() == 16 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos);
}

int AtomicFile::open(mode_t mode) {
  fd_.reset(::openat(dir_, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!fd_) {  // a file system, or a kernel under an overlay, without
    make_hidden_name(name_);
    fd_.reset(::openat(dir_, name_.data(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    is_named_ = static_cast<bool>(fd_);
  }
  if (!fd_) return errno;
  return ::fchmod(fd_.get(), mode) < 0 ? errno : 0;
}

int AtomicFile::link_to(const char* name) {
  std::array<char, 32> self{};
  std::snprintf(self.data(), self.size(), "/proc/self/fd/%d", fd_.get());
  return ::linkat(AT_FDCWD, self.data(), dir_, name, AT_SYMLINK_FOLLOW) < 0 ? errno : 0;
}

int AtomicFile::commit(const char* name, Existing existing) {
  if (!is_named_) {
    const int error = link_to(name);
    if (error != EEXIST || existing == Existing::kept) return error;
    make_hidden_name(name_);
    if (const int unnamed = link_to(name_.data()); unnamed != 0) return unnamed;
    is_named_ = true;
  }
  const unsigned flags = existing == Existing::kept ? kNoReplace : 0;
  if (::syscall(SYS_renameat2, dir_, name_.data(), dir_, name, flags) < 0) return errno;
  is_named_ = false;
  return 0;
}

mode_t file_mode_mask() {
  const mode_t mask = ::umask(0);
  (void)::umask(mask);
  return mask;
}

int write_exactly(int fd, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n = ::write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    at += n;
    size -= static_cast<std::size_t>(n);
  }
  return 0;
}

}  // namespace lmsb::os
