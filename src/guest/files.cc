#include "guest/files.h"

#include <array>
#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

constexpr std::uint64_t kNoEscape = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;

int write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

bool says(int dir, const char* name, std::string_view content) {
  std::array<char, 512> found{};
  const UniqueFd file(::openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat kind {};
  if (!file || ::fstat(file.get(), &kind) < 0 || !S_ISREG(kind.st_mode) || content.size() >= found.size()) return false;
  const ssize_t size = ::read(file.get(), found.data(), found.size());
  return size >= 0 && std::string_view(found.data(), static_cast<std::size_t>(size)) == content;
}

}  // namespace

int open_beneath(int root, const char* path, std::uint64_t flags, mode_t mode) {
  const int fd = sys::openat2(root, path, flags | O_CLOEXEC, mode, kNoEscape);
  return fd < 0 ? -errno : fd;
}

int make_directories(int root, const char* path, mode_t mode) {
  std::array<char, 512> part{};
  const std::size_t length = std::strlen(path);
  if (length == 0 || length >= part.size()) return EINVAL;
  for (std::size_t i = 1; i <= length; ++i) {
    if (path[i] != '/' && path[i] != '\0') continue;
    std::memcpy(part.data(), path, i);
    part[i] = '\0';
    const int found = open_beneath(root, part.data(), O_PATH | O_DIRECTORY);
    const UniqueFd existing(found < 0 ? -1 : found);
    if (found >= 0) continue;
    if (found != -ENOENT) return -found;
    // The parent was just walked without links, so the last component is all that is new.
    if (::mkdirat(root, part.data(), mode) < 0) return errno;
  }
  return 0;
}

int make_directory(int root, const char* path, mode_t mode, uid_t owner) {
  if (::mkdirat(root, path, mode) < 0) return errno;
  if (::fchmodat(root, path, mode, 0) < 0) return errno;
  if (owner != 0 && ::fchownat(root, path, owner, owner, AT_SYMLINK_NOFOLLOW) < 0) return errno;
  return 0;
}

int make_link(int root, const char* target, const char* path) {
  return ::symlinkat(target, root, path) < 0 ? errno : 0;
}

int write_new_file(int root, const char* path, std::string_view content, mode_t mode) {
  std::array<char, 256> parent{};
  const char* slash = std::strrchr(path, '/');
  if (slash == nullptr || static_cast<std::size_t>(slash - path) >= parent.size()) return EINVAL;
  std::memcpy(parent.data(), path, static_cast<std::size_t>(slash - path));
  const int opened = open_beneath(root, parent.data(), O_PATH | O_DIRECTORY);
  if (opened < 0) return -opened;
  const UniqueFd dir(opened);
  if (says(dir.get(), slash + 1, content)) return 0;
  if (::unlinkat(dir.get(), slash + 1, 0) < 0 && errno != ENOENT) return errno;
  const UniqueFd file(::openat(dir.get(), slash + 1, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  return file ? write_all(file.get(), content) : errno;
}

int write_existing(int root, const char* path, std::string_view content) {
  const int opened = open_beneath(root, path, O_WRONLY);
  if (opened < 0) return -opened;
  const UniqueFd file(opened);
  return ::write(file.get(), content.data(), content.size()) < 0 ? errno : 0;
}

}  // namespace lmsb::guest
