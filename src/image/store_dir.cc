#include "image/store_dir.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <vector>

#include "base/ids.h"
#include "os/directory_stream.h"
#include "sandbox/image_directory.h"

namespace lmsb::image {
namespace {

constexpr std::string_view kStaging = ".build-";
constexpr std::string_view kOld = ".old-";

Status check_owner(const UniqueFd& directory, const std::string& path) {
  struct stat info {};
  if (::fstat(directory.get(), &info) < 0) return Error::from_errno(errno, "stat " + path);
  if (info.st_uid == ::geteuid() && (info.st_mode & 022U) == 0) return {};
  if (::geteuid() != 0)
    return Error(ErrorCode::permission_denied, "changing the images in " + path + " needs root")
        .with_hint("run it with sudo");
  return Error(ErrorCode::failed_precondition, path + " can be written by others than root")
      .with_hint("chown root: " + path + " && chmod go-w " + path);
}

// Whether somebody holds a pin on the directory (Store::pin).
bool is_pinned(int parent, const std::string& name) {
  const UniqueFd directory(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  return directory && ::flock(directory.get(), LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

std::vector<std::string> leftovers(int directory) {
  std::vector<std::string> names;
  const auto entries = os::stream_of(UniqueFd(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
  while (const dirent* entry = entries ? ::readdir(entries.get()) : nullptr) {
    const std::string name = entry->d_name;
    if (name.starts_with(kStaging) || name.starts_with(kOld)) names.push_back(name);
  }
  return names;
}

}  // namespace

Result<StoreDir> StoreDir::open(const std::string& path) {
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!directory) return Error::from_errno(errno, "open " + path);
  LMSB_CHECK(check_owner(directory, path));
  if (::flock(directory.get(), LOCK_EX | LOCK_NB) < 0)
    return Error(ErrorCode::failed_precondition, "another process is changing the images in " + path)
        .with_hint("wait until it is done");
  return StoreDir(std::move(directory));
}

Result<StoreDir> StoreDir::create(const std::string& path) {
  LMSB_CHECK(sandbox::make_image_directory(path));
  return open(path);
}

Status StoreDir::require_space(std::uint64_t bytes) const {
  struct statvfs info {};
  if (::fstatvfs(directory_.get(), &info) < 0) return Error::from_errno(errno, "ask for free space");
  const std::uint64_t free = std::uint64_t{info.f_bavail} * info.f_frsize;
  if (free >= bytes) return {};
  return Error(ErrorCode::resource_exhausted, "the disk has " + std::to_string(free >> 20U) + " MiB free and " +
                                                  std::to_string(bytes >> 20U) + " MiB are needed")
      .with_hint("make room, or choose another place with --data-dir");
}

Result<std::string> StoreDir::make_staging() const {
  std::string name = create_prefixed_id(kStaging);
  if (::mkdirat(directory_.get(), name.c_str(), 0755) < 0) return Error::from_errno(errno, "make a staging directory");
  return name;
}

Status StoreDir::publish(const std::string& staging, const std::string& name) const {
  if (::syncfs(directory_.get()) < 0) return Error::from_errno(errno, "write image " + name + " to the disk");
  const int directory = directory_.get();
  if (::renameat2(directory, staging.c_str(), directory, name.c_str(), RENAME_NOREPLACE) == 0) return {};
  if (errno == EEXIST && ::renameat2(directory, staging.c_str(), directory, name.c_str(), RENAME_EXCHANGE) == 0)
    return {};  // the staging name now holds the old image: a leftover
  return Error::from_errno(errno, "put image " + name + " in place");
}

Status StoreDir::hide(const std::string& name) const {
  const std::string old = create_prefixed_id(kOld);
  if (::renameat(directory_.get(), name.c_str(), directory_.get(), old.c_str()) == 0) return {};
  return Error::from_errno(errno, "remove image " + name);
}

Status StoreDir::remove_leftovers() const {
  for (const auto& name : leftovers(directory_.get())) {
    if (is_pinned(directory_.get(), name)) continue;
    std::error_code failure;
    std::filesystem::remove_all(path_of(name), failure);
    if (failure) return Error::from_errno(failure.value(), "remove the leftover " + name);
  }
  return {};
}

std::string StoreDir::path_of(const std::string& name) const {
  return "/proc/self/fd/" + std::to_string(directory_.get()) + "/" + name;
}

}  // namespace lmsb::image
