#include "guest/devices.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/unique_fd.h"
#include "guest_protocol/devices.h"
#include "os/sys.h"

namespace lmsb::guest {
namespace {

using guest_protocol::DeviceRecord;
using guest_protocol::DeviceRecordKind;

// Images have /lib as a link to /usr/lib. What stands in another mount (/proc, what is the guest's own, a volume) is
// out of reach.
constexpr std::uint64_t kWithin = RESOLVE_IN_ROOT | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
constexpr std::uint64_t kItself = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;

// The directory that `path` is in, made where it is missing. Returns a descriptor or -errno; `name` is what is left.
int open_parent(int root, const char* path, const char*& name) {
  std::array<char, 256> part{};
  UniqueFd parent(sys::openat2(root, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0, kWithin));
  if (!parent) return -errno;
  name = path;
  for (const char* slash = std::strchr(path, '/'); slash != nullptr; slash = std::strchr(name, '/')) {
    const auto length = static_cast<std::size_t>(slash - path);
    std::memcpy(part.data(), path, length);
    part[length] = '\0';
    UniqueFd next(sys::openat2(root, part.data(), O_PATH | O_DIRECTORY | O_CLOEXEC, 0, kWithin));
    if (!next && errno == ENOENT) {
      const char* last = part.data() + (name - path);
      if (::mkdirat(parent.get(), last, 0755) < 0) return -errno;  // EEXIST: a link that leads nowhere
      next.reset(sys::openat2(parent.get(), last, O_PATH | O_DIRECTORY | O_CLOEXEC, 0, kItself));
    }
    if (!next) return -errno;
    parent = static_cast<UniqueFd&&>(next);
    name = slash + 1;
  }
  return parent.release();
}

// Whether `name` is, or has become, free of a link. Returns 0 or an errno.
int remove_link(int parent, const char* name) {
  struct stat info {};
  if (::fstatat(parent, name, &info, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT ? 0 : errno;
  if (!S_ISLNK(info.st_mode)) return 0;
  return ::unlinkat(parent, name, 0) < 0 ? errno : 0;
}

int make_place(int parent, const char* name, bool is_directory) {
  if (const int error = remove_link(parent, name); error != 0) return error;
  if (is_directory) return ::mkdirat(parent, name, 0755) < 0 && errno != EEXIST ? errno : 0;
  const UniqueFd made(::openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0444));
  return made || errno == EEXIST ? 0 : errno;
}

int show(int root, const char* files, const DeviceRecord& record) {
  std::array<char, 64> source{};
  std::snprintf(source.data(), source.size(), "%s/%u", files, record.number);
  const UniqueFd tree(sys::open_tree(root, source.data(), sys::kOpenTreeClone | O_CLOEXEC));
  struct stat info {};
  if (!tree || ::fstat(tree.get(), &info) < 0) return errno;
  const char* name = nullptr;
  const int opened = open_parent(root, record.path.data(), name);
  if (opened < 0) return -opened;
  const UniqueFd parent(opened);
  if (const int error = make_place(parent.get(), name, S_ISDIR(info.st_mode)); error != 0) return error;
  const UniqueFd place(sys::openat2(parent.get(), name, O_PATH | O_CLOEXEC, 0, kItself));
  if (!place) return errno;
  const unsigned flags = sys::kMoveMountFEmptyPath | sys::kMoveMountTEmptyPath;
  return sys::move_mount(tree.get(), "", place.get(), "", flags) < 0 ? errno : 0;
}

// What is there and no link stays: an image may have the file itself.
int make_link(int root, const DeviceRecord& record) {
  const char* name = nullptr;
  const int opened = open_parent(root, record.path.data(), name);
  if (opened < 0) return -opened;
  const UniqueFd parent(opened);
  if (const int error = remove_link(parent.get(), name); error != 0) return error;
  return ::symlinkat(record.target.data(), parent.get(), name) < 0 && errno != EEXIST ? errno : 0;
}

}  // namespace

int place_devices(int root, const char* files, int records) {
  DeviceRecord record;
  for (off_t at = 0;; at += static_cast<off_t>(sizeof record)) {
    const ssize_t got = ::pread(records, &record, sizeof record, at);
    if (got == 0) return 0;
    if (got != static_cast<ssize_t>(sizeof record)) return got < 0 ? errno : EBADMSG;
    record.path.back() = record.target.back() = '\0';
    const int error = record.kind == DeviceRecordKind::show ? show(root, files, record) : make_link(root, record);
    if (error != 0) return error;
  }
}

}  // namespace lmsb::guest
