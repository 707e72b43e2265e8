#include "cli/private_directory.h"

#include <cerrno>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace lmsb::cli {
namespace {

constexpr std::string_view kPrefix = "lm-sandbox-private-";

// The lock of a directory, which is the kernel's to give back when its holder ends; empty when somebody has it.
UniqueFd try_lock(const std::string& directory) {
  UniqueFd lock(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) < 0) lock.reset();
  return lock;
}

bool is_ours(const std::string& directory) {
  struct stat status {};
  return ::lstat(directory.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == ::geteuid();
}

void remove_abandoned(const std::string& parent) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(parent, error), end; !error && entry != end; entry.increment(error)) {
    const std::string path = entry->path();
    if (!entry->path().filename().string().starts_with(kPrefix) || !is_ours(path)) continue;
    const UniqueFd lock = try_lock(path);
    std::error_code ignored;  // the next one tries again
    if (lock) std::filesystem::remove_all(path, ignored);
  }
}

}  // namespace

PrivateDirectory::PrivateDirectory(PrivateDirectory&& other) noexcept
    : path_(std::exchange(other.path_, "")), lock_(std::move(other.lock_)) {}

PrivateDirectory& PrivateDirectory::operator=(PrivateDirectory&& other) noexcept {
  if (this == &other) return *this;
  remove();
  path_ = std::exchange(other.path_, "");
  lock_ = std::move(other.lock_);
  return *this;
}

void PrivateDirectory::remove() {
  if (path_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
  path_.clear();
  lock_.reset();
}

Result<PrivateDirectory> PrivateDirectory::create() {
  return create_below(::access("/run", W_OK) == 0 ? "/run" : "/tmp");
}

Result<PrivateDirectory> PrivateDirectory::create_below(const std::string& parent) {
  remove_abandoned(parent);
  std::string path = parent + "/" + std::string(kPrefix) + "XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) return Error::from_errno(errno, "make directory " + path);
  PrivateDirectory directory;
  directory.path_ = path;
  directory.lock_ = try_lock(path);
  // Between the two lines above another one may have taken it for abandoned.
  if (!directory.lock_ || !is_ours(path))
    return Error(ErrorCode::unavailable, "directory " + path + " was taken away").with_hint("try again");
  if (::chmod(path.c_str(), 0711) < 0) return Error::from_errno(errno, "chmod " + path);
  return directory;
}

}  // namespace lmsb::cli
